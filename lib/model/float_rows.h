// SPDX-License-Identifier: Apache-2.0
// A weight on its way from one file to another: read a row at a time from whatever stores it, held
// to being finite, and written in another element type a few thousand rows at a time, so that a
// conversion needs memory for a part of a tensor and not for the model.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "io/file.h"
#include "io/gguf_blocks.h"
#include "tensor/dtype.h"

namespace nibble {

struct FloatRows {
  std::string name;  // "file: tensor "x"", for messages
  int64_t rows = 0;
  int64_t row_elements = 0;
  size_t row_bytes = 0;                               // of a row as it is stored
  std::function<void(int64_t row, float* out)> read;  // thread-safe
  std::function<void()> release;  // lets go of the file's pages, after the last row; may be empty
};

/// Takes the next bytes of the destination tensor.
using ByteSink = std::function<void(const void* data, size_t bytes)>;

/// Writes all rows as `to`, on all threads, and releases them. Throws DataError naming tensor, row
/// and column of a NaN or infinity, or of a value that `to` cannot hold.
void copy_rows(const FloatRows& from, GgmlType to, const ByteSink& sink);

/// The ggml type that stores a float dtype; CHECKs that it is one of F32, F16, BF16.
GgmlType ggml_type_of(Dtype dtype);

/// Rows of floats as memory holds them: `data` points to rows * row_elements elements of `type`.
FloatRows stored_rows(std::string name, GgmlType type, const std::byte* data, int64_t rows,
                      int64_t row_elements);
/// The same of a mapped file, whose pages are released; `bytes` lie in it.
FloatRows mapped_rows(std::string name, GgmlType type, const MappedFile& file,
                      std::span<const std::byte> bytes, int64_t rows, int64_t row_elements);

/// The same rows in another order: row i of the result is row order(i) of `from`.
FloatRows reordered_rows(FloatRows from, std::function<int64_t(int64_t)> order);

/// A vector (one row) as one row an element; it is read now.
FloatRows single_elements(FloatRows from);

/// "576 x 192", for messages.
std::string describe_shape(std::span<const int64_t> shape);

}  // namespace nibble
