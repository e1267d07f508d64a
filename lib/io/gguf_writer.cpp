// SPDX-License-Identifier: Apache-2.0
#include "base/checked.h"
#include "base/error.h"
#include "io/gguf.h"

namespace nibble {
namespace {

constexpr size_t kAlignment = 32;

template <class T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}
void put_string(std::string& out, std::string_view text) {
  put(out, uint64_t{text.size()});
  out += text;
}
void put_key(std::string& out, std::string_view key, GgufType type) {
  put_string(out, key);
  put(out, type);
}
void put_array_key(std::string& out, std::string_view key, GgufType type, size_t count) {
  put_key(out, key, GgufType::kArray);
  put(out, type);
  put(out, uint64_t{count});
}
std::string zeros(size_t size) {
  return std::string(round_up(size, kAlignment) - size, '\0');
}

}  // namespace

void GgufMetadata::u32(std::string_view key, uint32_t value) {
  put_key(bytes_, key, GgufType::kU32);
  put(bytes_, value);
  ++count_;
}
void GgufMetadata::f32(std::string_view key, float value) {
  put_key(bytes_, key, GgufType::kF32);
  put(bytes_, value);
  ++count_;
}
void GgufMetadata::boolean(std::string_view key, bool value) {
  put_key(bytes_, key, GgufType::kBool);
  put(bytes_, uint8_t{value});
  ++count_;
}
void GgufMetadata::string(std::string_view key, std::string_view value) {
  put_key(bytes_, key, GgufType::kString);
  put_string(bytes_, value);
  ++count_;
}
void GgufMetadata::strings(std::string_view key, std::span<const std::string> values) {
  put_array_key(bytes_, key, GgufType::kString, values.size());
  for (const std::string& value : values) put_string(bytes_, value);
  ++count_;
}
void GgufMetadata::f32s(std::string_view key, std::span<const float> values) {
  put_array_key(bytes_, key, GgufType::kF32, values.size());
  for (const float value : values) put(bytes_, value);
  ++count_;
}
void GgufMetadata::i32s(std::string_view key, std::span<const int32_t> values) {
  put_array_key(bytes_, key, GgufType::kI32, values.size());
  for (const int32_t value : values) put(bytes_, value);
  ++count_;
}

size_t gguf_tensor_bytes(const GgufTensorInfo& info) {
  const GgmlTypeInfo& type = ggml_type_info(info.type);
  CHECK(!info.shape.empty() && info.shape.back() % type.block == 0);
  std::optional<uint64_t> bytes = type.bytes;
  for (size_t i = 0; i < info.shape.size() && bytes; ++i)
    bytes = checked_mul(
        *bytes, static_cast<uint64_t>(i + 1 < info.shape.size() ? info.shape[i]
                                                                : info.shape[i] / type.block));
  CHECK(bytes);
  return *bytes;
}

GgufWriter::GgufWriter(const fs::path& path, const GgufMetadata& metadata,
                       std::vector<GgufTensorInfo> tensors)
    : file_(path), tensors_(std::move(tensors)) {
  std::string head = "GGUF";
  put(head, uint32_t{3});
  put(head, uint64_t{tensors_.size()});
  put(head, metadata.count_);
  head += metadata.bytes_;
  uint64_t offset = 0;
  for (const GgufTensorInfo& tensor : tensors_) {
    put_string(head, tensor.name);
    put(head, static_cast<uint32_t>(tensor.shape.size()));
    for (size_t i = tensor.shape.size(); i-- > 0;)
      put(head, static_cast<uint64_t>(tensor.shape[i]));
    put(head, tensor.type);
    put(head, offset);
    offset += round_up(gguf_tensor_bytes(tensor), kAlignment);
  }
  file_.write(head);
  file_.write(zeros(head.size()));
  left_ = tensors_.empty() ? 0 : gguf_tensor_bytes(tensors_[0]);
}

void GgufWriter::write(const void* data, size_t bytes) {
  CHECK(current() && bytes <= left_);
  file_.write(data, bytes);
  left_ -= bytes;
  if (left_ != 0) return;
  file_.write(zeros(gguf_tensor_bytes(tensors_[next_])));
  if (++next_ < tensors_.size()) left_ = gguf_tensor_bytes(tensors_[next_]);
}

const GgufTensorInfo* GgufWriter::current() const {
  return next_ < tensors_.size() ? &tensors_[next_] : nullptr;
}

void GgufWriter::commit() {
  CHECK(!current());
  file_.commit();
}

}  // namespace nibble
