// SPDX-License-Identifier: Apache-2.0
// A folder's tensors, cut into pieces of about a megabyte that all threads read and quantise, each
// as it comes free, and that are written in order by whichever does. Memory holds codes that wait
// to be written, 128 MiB at most, and the scales of a few weights. Where a device quantises, pieces
// are larger, and few at a time, in its memory and the host's.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "io/placed_reader.h"
#include "io/safetensors.h"
#include "quant/device_parts.h"

namespace nibble {

/// A tensor and what becomes of it.
struct FolderTensor {
  const StoredTensor* stored = nullptr;
  std::optional<Dtype> dense;  // its type where it is written dense; nothing: quantised
};

class PieceWriter {
 public:
  /// `begin` is called as the first piece of a tensor is written.
  PieceWriter(const TensorStore& store, const QuantizeOptions& options, TensorWriter& writer,
              std::function<void(const FolderTensor&)> begin);
  ~PieceWriter();

  /// Has these tensors, all that will be written, quantised by a device; says what it takes there.
  size_t use_device(Device device, std::span<const FolderTensor> tensors);
  /// Writes the tensors that come next in the writer. Throws DataError naming a tensor and what in
  /// it cannot be quantised, or be held by the type that it is to have.
  void write(std::span<const FolderTensor> tensors);
  /// Writes one that is to be quantised, and hands out what it has become.
  QuantizedTensor write_and_keep(const FolderTensor& tensor);

 private:
  struct Piece {
    const FolderTensor* tensor;
    int64_t first, count;  // rows, or elements of what stays dense
  };
  /// A piece's codes, and where they lie unless they are kept with their weight.
  struct Made {
    std::span<const uint8_t> codes;
    uint8_t* room = nullptr;
  };
  struct Building;

  std::vector<Piece> pieces_of(std::span<const FolderTensor> tensors) const;
  Building& building(const FolderTensor& tensor);
  uint8_t* free_room();
  /// As it is in the file, in rows of that many elements; good until this thread's next call.
  std::span<const std::byte> read(const Piece& piece, int64_t width) const;
  void read(const Piece& piece, int64_t width, std::byte* to) const;
  /// Nothing is made of what stays dense: it is read as it is written, and takes no memory before.
  void make(const Piece& piece, Made& made);
  /// The same by the device, in one of its parts.
  void make_on_device(const Piece& piece, size_t part);
  void take_from_device(const Piece& piece, size_t part, Made& made);
  void put(const Piece& piece, Made& made);
  void put_dense(const Piece& piece);

  std::map<const MappedFile*, std::unique_ptr<PlacedReader>> readers_;
  const QuantizeOptions options_;
  TensorWriter& writer_;
  const std::function<void(const FolderTensor&)> begin_;
  Arena device_arena_;
  std::optional<DeviceParts> device_parts_;
  PartQuantizer::Codes codes_ = PartQuantizer::Codes::kHandedOut;
  std::mutex mutex_;  // of the two that follow
  std::map<const FolderTensor*, std::unique_ptr<Building>> building_;
  std::vector<uint8_t*> free_rooms_;  // the one that was used last is used again first
  std::vector<std::byte> converted_;
  std::optional<QuantizedTensor> kept_;
};

}  // namespace nibble
