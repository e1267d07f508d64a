// SPDX-License-Identifier: Apache-2.0
#include "io/gguf.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

#include "base/checked.h"
#include "base/error.h"
#include "base/quote.h"

namespace nibble {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF values are used in place");

constexpr uint64_t kMaxKey = 65535;  // the specification's bound

// Reads the file from front to back; every step names what it was after when the bytes run out.
class Cursor {
 public:
  explicit Cursor(const MappedFile& file) : bytes_(file.bytes()), place_(file.path().string()) {}

  [[noreturn]] void fail(std::string_view fault) const {
    throw DataError(cat(place_, ": ", fault, "; the file is damaged, fetch or convert it again"));
  }
  std::span<const std::byte> take(uint64_t count, std::string_view what) {
    if (count > left())
      fail(
          cat("ends inside ", what, " (", count, " bytes wanted at ", at_, ", ", left(), " left)"));
    const auto part = bytes_.subspan(at_, count);
    at_ += count;
    return part;
  }
  template <class T>
  T scalar(std::string_view what) {
    T value;
    std::memcpy(&value, take(sizeof value, what).data(), sizeof value);
    return value;
  }
  std::string_view string(std::string_view what) {
    const auto part = take(scalar<uint64_t>(what), what);
    return {reinterpret_cast<const char*>(part.data()), part.size()};
  }
  /// A number of things of at least `smallest` bytes each, which therefore must still fit.
  uint64_t count(uint64_t smallest, std::string_view what) {
    const uint64_t n = scalar<uint64_t>(what);
    if (n > left() / smallest)
      fail(cat("claims ", n, " ", what, ", but has only ", left(), " bytes left"));
    return n;
  }
  GgufType type(std::string_view what) {
    const uint32_t code = scalar<uint32_t>(what);
    if (code > static_cast<uint32_t>(GgufType::kF64))
      fail(cat(what, " has the unknown value type ", code));
    return static_cast<GgufType>(code);
  }
  GgufValue value(const std::string& what) {
    GgufValue v{.type = type(what)};
    if (v.type == GgufType::kArray) {
      v.array = true;
      v.type = type(what);
      if (v.type == GgufType::kArray) fail(cat(what, " is an array of arrays"));
      v.count = count(std::max<size_t>(gguf_type_bytes(v.type), 1), "items of " + what);
    }
    if (v.type == GgufType::kString) {
      if (v.count > left() / 8)
        fail(cat("claims ", v.count, " items of ", what, ", but has only ", left(), " bytes left"));
      v.strings.reserve(v.count);
      for (uint64_t i = 0; i < v.count; ++i) v.strings.push_back(string(what));
    } else {
      v.bytes = take(v.count * gguf_type_bytes(v.type), what);
    }
    return v;
  }

  uint64_t at() const { return at_; }
  uint64_t left() const { return bytes_.size() - at_; }
  std::span<const std::byte> all() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
  std::string place_;
  uint64_t at_ = 0;
};

uint32_t read_version(Cursor& in) {
  const auto magic = in.take(4, "the magic number");
  if (std::memcmp(magic.data(), "GGUF", 4) != 0) in.fail("is no GGUF file (its magic is missing)");
  const auto version = in.scalar<uint32_t>("the version");
  if (version == 2 || version == 3) return version;
  if ((version & 0xffffu) == 0)
    in.fail("is a big-endian GGUF file; only little-endian ones are read");
  in.fail(cat("is GGUF version ", version, "; versions 2 and 3 are read"));
}

// A tensor's table entry, before its bytes can be found.
struct Entry {
  GgufTensor tensor;
  uint64_t offset = 0, size = 0;
};

Entry read_entry(Cursor& in) {
  Entry e;
  e.tensor.name = in.string("a tensor's name");
  const std::string what = "tensor " + quote(e.tensor.name);
  if (e.tensor.name.empty() || e.tensor.name.size() > kMaxKey)
    in.fail(cat("a tensor's name is ", e.tensor.name.size(), " bytes long"));
  const auto rank = in.scalar<uint32_t>(what);
  if (rank < 1 || rank > 4) in.fail(cat(what, " has rank ", rank, ", not 1 to 4"));
  std::optional<int64_t> elements = 1;
  for (uint32_t i = 0; i < rank; ++i) {
    const auto dim = in.scalar<uint64_t>(what);
    if (dim < 1 || dim > INT64_MAX) in.fail(cat(what, " has a dimension of ", dim));
    e.tensor.shape.insert(e.tensor.shape.begin(), static_cast<int64_t>(dim));
    if (elements) elements = checked_mul(*elements, static_cast<int64_t>(dim));
  }
  const auto code = in.scalar<uint32_t>(what);
  const GgmlTypeInfo* info = ggml_type_info(code);
  if (!info) in.fail(cat(what, " has the unknown element type ", code));
  e.tensor.type = info->type;
  if (e.tensor.row_elements() % info->block != 0)
    in.fail(cat(what, " has rows of ", e.tensor.row_elements(), ", not whole blocks of ",
                info->block, " (", info->name, ")"));
  std::optional<uint64_t> size;
  if (elements)
    size = checked_mul(static_cast<uint64_t>(*elements / info->block), uint64_t{info->bytes});
  if (!size) in.fail(cat(what, " has more elements than can be counted"));
  e.size = *size;
  e.offset = in.scalar<uint64_t>(what);
  return e;
}

void check_overlaps(const Cursor& in, const std::vector<Entry>& entries) {
  std::vector<const Entry*> order;
  for (const Entry& e : entries) order.push_back(&e);
  std::sort(order.begin(), order.end(),
            [](const Entry* a, const Entry* b) { return a->offset < b->offset; });
  for (size_t i = 1; i < order.size(); ++i)
    if (order[i - 1]->offset + order[i - 1]->size > order[i]->offset)
      in.fail(cat("tensors ", quote(order[i - 1]->tensor.name), " and ",
                  quote(order[i]->tensor.name), " overlap"));
}

}  // namespace

int64_t GgufTensor::elements() const {
  int64_t n = 1;
  for (const int64_t d : shape) n *= d;
  return n;
}

GgufFile::GgufFile(const fs::path& path) : file_(std::make_unique<MappedFile>(path)) {
  Cursor in(*file_);
  version_ = read_version(in);
  const uint64_t tensor_count = in.count(1, "tensors");
  const uint64_t pair_count = in.count(13, "metadata pairs");
  for (uint64_t i = 0; i < pair_count; ++i) {
    const std::string key(in.string("a metadata key"));
    if (key.empty() || key.size() > kMaxKey)
      in.fail(cat("a metadata key is ", key.size(), " bytes long"));
    if (!by_key_.emplace(key, metadata_.size()).second)
      in.fail(cat("metadata key ", quote(key), " comes twice"));
    metadata_.emplace_back(key, in.value("metadata " + quote(key)));
  }
  const int64_t alignment = integer("general.alignment", 32);
  if (alignment < 1 || !std::has_single_bit(static_cast<uint64_t>(alignment)))
    in.fail(cat("general.alignment is ", alignment, ", not a power of two"));
  alignment_ = static_cast<uint64_t>(alignment);

  std::vector<Entry> entries;
  for (uint64_t i = 0; i < tensor_count; ++i) {
    entries.push_back(read_entry(in));
    if (!by_name_.emplace(entries.back().tensor.name, i).second)
      in.fail(cat("tensor ", quote(entries.back().tensor.name), " comes twice"));
  }
  const auto data = tensor_count ? checked_add(in.at(), alignment_ - 1) : in.at();
  const uint64_t start = data ? *data / alignment_ * alignment_ : UINT64_MAX;
  for (Entry& e : entries) {
    const std::string what = "tensor " + quote(e.tensor.name);
    if (e.offset % alignment_ != 0)
      in.fail(cat(what, " starts at ", e.offset, ", not a multiple of ", alignment_));
    const auto begin = checked_add(start, e.offset);
    if (!begin || !in_range(*begin, e.size, in.all().size()))
      in.fail(cat(what, " (", e.size, " bytes at ", e.offset, ") lies beyond the end of the file"));
    e.tensor.bytes = in.all().subspan(*begin, e.size);
  }
  check_overlaps(in, entries);
  for (Entry& e : entries) tensors_.push_back(std::move(e.tensor));
}

const GgufValue* GgufFile::find(std::string_view key) const {
  const auto it = by_key_.find(key);
  return it == by_key_.end() ? nullptr : &metadata_[it->second].second;
}

const GgufTensor* GgufFile::find_tensor(std::string_view name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : &tensors_[it->second];
}

namespace {

template <class T, class Get>
T look_up(const GgufFile& file, std::string_view key, T otherwise, Get get) {
  const GgufValue* value = file.find(key);
  if (!value) return otherwise;
  try {
    if (value->array) throw DataError("expected a single value, found a list");
    return T(get(*value));
  } catch (const DataError& e) {
    throw DataError(cat(file.file().path().string(), ": metadata ", quote(key), ": ", e.what()));
  }
}

}  // namespace

int64_t GgufFile::integer(std::string_view key, int64_t otherwise) const {
  return look_up(*this, key, otherwise, [](const GgufValue& v) { return v.integer(); });
}
double GgufFile::number(std::string_view key, double otherwise) const {
  return look_up(*this, key, otherwise, [](const GgufValue& v) { return v.number(); });
}
bool GgufFile::boolean(std::string_view key, bool otherwise) const {
  return look_up(*this, key, otherwise, [](const GgufValue& v) { return v.boolean(); });
}
std::string GgufFile::text(std::string_view key, std::string_view otherwise) const {
  return look_up(*this, key, std::string(otherwise), [](const GgufValue& v) { return v.string(); });
}

}  // namespace nibble
