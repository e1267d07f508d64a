// SPDX-License-Identifier: Apache-2.0
// A weight quantised whole, as bitsandbytes 0.50 does it: NF4 or FP4 in blocks, with double
// quantisation (absmax less its mean, in dynamic 8 bits with blocks of 256) or without, or INT8 by
// rows.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "kernels/dequantize.h"
#include "tensor/tensor.h"

namespace nibble {

struct QuantizeOptions {
  QuantType type = QuantType::kNf4;
  int64_t block = 64;        // 4 bits: a power of two, 32 to 4096
  bool double_quant = true;  // 4 bits
};

/// Throws UsageError for a block that is none.
void check_options(const QuantizeOptions& options);

/// "nf4", "fp4", "int8".
std::string quant_type_name(QuantType type);

/// What a quantised weight is made of. Reused from weight to weight, it allocates rarely.
struct QuantizedTensor {
  QuantizeOptions options;
  Dtype dtype = Dtype::kBf16;  // of the floats it was made of
  int64_t out_features = 0, in_features = 0;
  std::vector<uint8_t> codes;
  std::vector<float> absmax;          // without double quantisation
  std::vector<uint8_t> absmax_codes;  // with it
  std::vector<float> nested_absmax;
  float nested_offset = 0.0f;
  std::vector<float> row_scale;  // int8

  QuantizedMatrix matrix() const;
};

/// `weight` is (O,I) f32|bf16|f16, dense. Throws DataError naming the first element that is no
/// number or infinite (for int8: beyond f16).
void quantize(const std::string& name, const Tensor& weight, const QuantizeOptions& options,
              QuantizedTensor& out);

/// Bytes of the codes of that many weights.
size_t code_bytes(QuantType type, int64_t weights);

/// How many rows a part of about that many weights has, but for the last, which may have fewer:
/// whole blocks.
int64_t part_rows(const QuantizeOptions& options, int64_t in_features, int64_t weights);

/// What a device has made of rows (device_parts.h), as the host has it.
struct QuantizedPart {
  Tensor rows;  // the floats
  const uint8_t* codes = nullptr;
  const float* scales = nullptr;  // absmax, or of rows
};

/// The same for a weight that comes in parts of rows, which need not be kept.
class PartQuantizer {
 public:
  /// Where the codes go: to `out`, or to whoever hands in a part.
  enum class Codes : uint8_t { kKept, kHandedOut };
  PartQuantizer(std::string name, Dtype dtype, int64_t out_features, int64_t in_features,
                const QuantizeOptions& options, QuantizedTensor& out, Codes codes = Codes::kKept);
  /// The rows that come next. Throws DataError as quantize() does.
  void add(const Tensor& rows);
  /// Rows from `first` on, the codes to `codes`. Threads may hand in different rows at once.
  void make(int64_t first, const Tensor& rows, uint8_t* codes);
  /// The same of rows that are quantised already: their scales are looked at and kept, and their
  /// codes where codes are.
  void take(int64_t first, const QuantizedPart& part);
  /// When all rows are there.
  void finish();

 private:
  void count(int64_t first, const Tensor& rows);
  Tensor scales(int64_t first, const Tensor& rows);

  std::string name_;
  QuantizedTensor& out_;
  std::atomic<int64_t> done_ = 0;  // rows
};

/// How far a quantised weight is from the one it was made of.
struct QuantizationError {
  double max = 0.0, rms = 0.0;
  double snr_db = 0.0;  // 10 log10(sum w^2 / sum (w - w')^2); infinite where nothing was lost
};
QuantizationError quantization_error(const Tensor& weight, const QuantizedMatrix& matrix);

}  // namespace nibble
