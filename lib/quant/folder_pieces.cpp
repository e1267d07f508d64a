// SPDX-License-Identifier: Apache-2.0
#include "quant/folder_pieces.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/checked.h"
#include "base/in_order.h"
#include "base/profile.h"
#include "base/quote.h"
#include "quant/storage.h"
#include "tensor/memory.h"

namespace nibble {
namespace {

// What is read of a piece stays in a core's cache until it is quantised.
constexpr int64_t kPieceElements = int64_t{1} << 19;
// What a device is given is worth a copy; so many keep disk, bus and device busy.
constexpr int64_t kDeviceElements = int64_t{1} << 21;
constexpr size_t kDeviceParts = 8;

// Codes that may wait to be written. While one thread copies what stays dense, which is first in
// the file, the others go on with what comes after it.
constexpr size_t kAheadBytes = size_t{128} << 20;

template <class From, class To>
void convert(const StoredTensor& t, int64_t first, std::span<const std::byte> in,
             std::vector<std::byte>& out) {
  const size_t count = in.size() / sizeof(From);
  out.resize(count * sizeof(To));
  const auto* from = reinterpret_cast<const From*>(in.data());
  auto* to = reinterpret_cast<To*>(out.data());
  for (size_t i = 0; i < count; ++i) {
    const float value = to_float(from[i]);
    to[i] = from_float<To>(value);
    if (std::isfinite(value) && !std::isfinite(to_float(to[i])))
      throw DataError(cat(t.file->path().string(), ": tensor ", quote(t.info.name), ": element ",
                          first + static_cast<int64_t>(i), " is ", value,
                          ", more than the model's type, ", torch_name(dtype_of<To>),
                          ", holds; set another in config.json"));
  }
}

template <class From>
void convert_from(const StoredTensor& t, int64_t first, std::span<const std::byte> in, Dtype to,
                  std::vector<std::byte>& out) {
  if (to == Dtype::kF32) return convert<From, float>(t, first, in, out);
  to == Dtype::kF16 ? convert<From, f16>(t, first, in, out)
                    : convert<From, bf16>(t, first, in, out);
}

void convert_to(const StoredTensor& t, int64_t first, std::span<const std::byte> in, Dtype to,
                std::vector<std::byte>& out) {
  if (t.info.dtype == Dtype::kF32) return convert_from<float>(t, first, in, to, out);
  t.info.dtype == Dtype::kF16 ? convert_from<f16>(t, first, in, to, out)
                              : convert_from<bf16>(t, first, in, to, out);
}

// Does what may find fault with values, and says in which file they are.
template <class Work>
void in_its_file(const FolderTensor& tensor, const Work& work) {
  try {
    work();
  } catch (const DataError& fault) {
    throw DataError(cat(tensor.stored->file->path().string(), ": ", fault.what()));
  }
}

}  // namespace

// A weight of which not all pieces are made and written.
struct PieceWriter::Building {
  QuantizedTensor out;
  PartQuantizer parts;

  Building(const TensorInfo& info, const QuantizeOptions& options, PartQuantizer::Codes codes)
      : parts(info.name, info.dtype, info.shape[0], info.shape[1], options, out, codes) {}
};

PieceWriter::PieceWriter(const TensorStore& store, const QuantizeOptions& options,
                         TensorWriter& writer, std::function<void(const FolderTensor&)> begin)
    : options_(options), writer_(writer), begin_(std::move(begin)) {
  for (const auto& [name, tensor] : store.tensors())
    if (auto& reader = readers_[tensor.file]; !reader)
      reader = std::make_unique<PlacedReader>(tensor.file->path());
}
PieceWriter::~PieceWriter() = default;

PieceWriter::Building& PieceWriter::building(const FolderTensor& tensor) {
  const std::lock_guard lock(mutex_);
  auto& one = building_[&tensor];
  if (!one) one = std::make_unique<Building>(tensor.stored->info, options_, codes_);
  return *one;
}

std::vector<PieceWriter::Piece> PieceWriter::pieces_of(
    std::span<const FolderTensor> tensors) const {
  std::vector<Piece> pieces;
  const int64_t quantized = device_parts_ ? kDeviceElements : kPieceElements;
  for (const FolderTensor& tensor : tensors) {
    const TensorInfo& info = tensor.stored->info;
    const auto elements = static_cast<int64_t>(info.bytes / dtype_bytes(info.dtype));
    const int64_t whole = tensor.dense ? elements : info.shape[0];
    const int64_t step =
        tensor.dense ? kPieceElements : part_rows(options_, info.shape[1], quantized);
    for (int64_t first = 0; first < whole; first += step)
      pieces.push_back({&tensor, first, std::min(step, whole - first)});
    if (whole == 0) pieces.push_back({&tensor, 0, 0});  // to be counted
  }
  return pieces;
}

size_t PieceWriter::use_device(Device device, std::span<const FolderTensor> tensors) {
  PartBytes most;
  for (const FolderTensor& t : tensors) {
    if (t.dense) continue;
    const TensorInfo& info = t.stored->info;
    const int64_t rows =
        std::min(info.shape[0], part_rows(options_, info.shape[1], kDeviceElements));
    most.grow_to(PartBytes(options_, info.dtype, rows, info.shape[1]));
  }
  device_arena_ =
      make_arena(device, [&](Arena& arena) { device_parts_.emplace(arena, kDeviceParts, most); });
  return device_arena_.peak();
}

uint8_t* PieceWriter::free_room() {
  const std::lock_guard lock(mutex_);
  CHECK(!free_rooms_.empty());
  uint8_t* const room = free_rooms_.back();
  free_rooms_.pop_back();
  return room;
}

std::span<const std::byte> PieceWriter::read(const Piece& piece, int64_t width) const {
  const StoredTensor& t = *piece.tensor->stored;
  const size_t row = static_cast<size_t>(width) * dtype_bytes(t.info.dtype);
  thread_local std::vector<std::byte> bytes;
  bytes.resize(static_cast<size_t>(piece.count) * row);
  read(piece, width, bytes.data());
  return bytes;
}

void PieceWriter::read(const Piece& piece, int64_t width, std::byte* to) const {
  const StoredTensor& t = *piece.tensor->stored;
  const size_t row = static_cast<size_t>(width) * dtype_bytes(t.info.dtype);
  readers_.at(t.file)->read(t.offset + static_cast<size_t>(piece.first) * row, to,
                            static_cast<size_t>(piece.count) * row);
}

void PieceWriter::make_on_device(const Piece& piece, size_t part) {
  if (piece.tensor->dense) return;
  const TensorInfo& info = piece.tensor->stored->info;
  read(piece, info.shape[1], device_parts_->floats(part));
  device_parts_->begin(part, options_, info.dtype, piece.count, info.shape[1]);
}

void PieceWriter::take_from_device(const Piece& piece, size_t part, Made& made) {
  if (piece.tensor->dense) return;
  const QuantizedPart got = device_parts_->fetch(part);
  in_its_file(*piece.tensor, [&] { building(*piece.tensor).parts.take(piece.first, got); });
  made.codes = {got.codes, code_bytes(options_.type, got.rows.elements())};
}

void PieceWriter::make(const Piece& piece, Made& made) {
  if (piece.tensor->dense) return;
  const StoredTensor& t = *piece.tensor->stored;
  const int64_t width = t.info.shape[1];
  const auto in = read(piece, width);
  Building& one = building(*piece.tensor);
  const size_t bytes = code_bytes(options_.type, piece.count * width);
  uint8_t* const codes =
      codes_ == PartQuantizer::Codes::kHandedOut
          ? made.room = free_room()
          : one.out.codes.data() + code_bytes(options_.type, piece.first * width);
  const Tensor rows =
      make_tensor(const_cast<std::byte*>(in.data()), t.info.dtype, {piece.count, width});
  in_its_file(*piece.tensor, [&] { one.parts.make(piece.first, rows, codes); });
  made.codes = {codes, bytes};
}

void PieceWriter::put_dense(const Piece& piece) {
  const StoredTensor& t = *piece.tensor->stored;
  auto bytes = read(piece, 1);
  if (*piece.tensor->dense != t.info.dtype) {
    convert_to(t, piece.first, bytes, *piece.tensor->dense, converted_);
    bytes = converted_;
  }
  if (!bytes.empty()) writer_.write(bytes.data(), bytes.size());
}

void PieceWriter::put(const Piece& piece, Made& made) {
  const FolderTensor& tensor = *piece.tensor;
  if (piece.first == 0) begin_(tensor);
  if (tensor.dense) return put_dense(piece);
  writer_.write(made.codes.data(), made.codes.size());
  const bool last = piece.first + piece.count == tensor.stored->info.shape[0];
  if (last) {
    Building& one = building(tensor);
    one.parts.finish();
    write_quantized_scales(writer_, one.out);
    if (codes_ == PartQuantizer::Codes::kKept) kept_ = std::move(one.out);
  }
  const std::lock_guard lock(mutex_);
  if (made.room) free_rooms_.push_back(std::exchange(made.room, nullptr));
  if (last) building_.erase(&tensor);
}

void PieceWriter::write(std::span<const FolderTensor> tensors) {
  const std::vector<Piece> pieces = pieces_of(tensors);
  size_t room = 1;
  for (const Piece& p : pieces)
    if (!p.tensor->dense)
      room = std::max(room, code_bytes(options_.type, p.count * p.tensor->stored->info.shape[1]));
  room = round_up<size_t>(room, 64);
  const auto most = static_cast<size_t>(std::max<int64_t>(1, std::ssize(pieces)));
  const auto least = static_cast<size_t>(ahead_in_order());
  std::vector<Made> made(
      std::min(most, device_parts_ ? kDeviceParts : std::max(kAheadBytes / room, least)));
  DeviceMemory rooms;  // in huge pages: it is touched once
  free_rooms_.clear();
  if (codes_ == PartQuantizer::Codes::kHandedOut && !device_parts_) {
    rooms = DeviceMemory(made.size() * room, Device{});
    for (size_t i = made.size(); i-- > 0;)
      free_rooms_.push_back(reinterpret_cast<uint8_t*>(rooms.data()) + i * room);
  }
  const auto slot = [&](int64_t i) { return static_cast<size_t>(i) % made.size(); };
  Span span("quantize tensors");
  for (const FolderTensor& t : tensors) span.add(0.0, static_cast<double>(t.stored->bytes.size()));
  in_order(
      std::ssize(pieces), std::ssize(made),
      [&](int64_t i) {
        const Piece& piece = pieces[static_cast<size_t>(i)];
        if (device_parts_)
          make_on_device(piece, slot(i));
        else
          make(piece, made[slot(i)]);
      },
      [&](int64_t i) {
        const Piece& piece = pieces[static_cast<size_t>(i)];
        if (device_parts_) take_from_device(piece, slot(i), made[slot(i)]);
        put(piece, made[slot(i)]);
      });
}

QuantizedTensor PieceWriter::write_and_keep(const FolderTensor& tensor) {
  codes_ = PartQuantizer::Codes::kKept;
  write({&tensor, 1});
  codes_ = PartQuantizer::Codes::kHandedOut;
  return std::move(*kept_);
}

}  // namespace nibble
