// SPDX-License-Identifier: Apache-2.0
#include "support/op_harness.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "base/notice.h"
#include "tensor/cuda.h"

namespace nibble {

void (*take_away)(const void* p, size_t bytes, bool away) = nullptr;

namespace {

constexpr int kSkipped = 77;  // what ctest and tests/tools take for it
constexpr size_t kCanaryBytes = 128;
constexpr std::byte kCanary{0xff};  // a NaN in every float type

template <class T>
double load(const std::byte* p) {
  T x;
  std::memcpy(&x, p, sizeof x);
  if constexpr (std::is_arithmetic_v<T>)
    return static_cast<double>(x);
  else
    return to_float(x);
}

template <class T>
void store(std::byte* p, T x) {
  std::memcpy(p, &x, sizeof x);
}

// One stream for all cases of the process, with the test's device as the current one.
struct TestStream {
  explicit TestStream(Device device) : stream(device), scope(stream.get()) {}
  OwnedStream stream;
  StreamScope scope;
};

// Where a device was asked for that is not there, nothing is run before that is said.
struct DeviceFirst : testing::Environment {
  void SetUp() override {
    if (std::getenv("NIBBLE_TEST_DEVICE")) test_device();
  }
};
[[maybe_unused]] testing::Environment* const kDeviceFirst =
    testing::AddGlobalTestEnvironment(new DeviceFirst);

}  // namespace

Device test_device() {
  static const Device device = [] {
    const char* name = std::getenv("NIBBLE_TEST_DEVICE");
    // What went on by another way than asked for was not tested, which no result tells.
    on_notice([](std::string_view text) { ADD_FAILURE() << "notice: " << text; });
    try {
      const Device chosen = parse_device(name ? name : "cpu");
      static const TestStream stream(chosen);
      return chosen;
    } catch (const UnavailableError& error) {
      std::fprintf(stderr, "SKIPPED: %s\n", error.what());
      std::exit(kSkipped);
    }
  }();
  return device;
}

std::string shape_name(const Shape& shape) {
  std::string out = "(";
  for (const int64_t d : shape) out += cat(out.size() > 1 ? "," : "", d);
  return out + ")";
}

Buffer::Buffer(std::string name, Role role, Dtype dtype, Shape shape, int64_t gap)
    : name_(std::move(name)), role_(role), dtype_(dtype), gap_(gap) {
  tensor_ = {.dtype = dtype, .rank = static_cast<int>(shape.size())};
  CHECK(!shape.empty() && shape.size() <= tensor_.shape.size());
  std::copy(shape.begin(), shape.end(), tensor_.shape.begin());
  tensor_.row_stride = tensor_.row_elements() + gap;
  const size_t element = element_bytes_ = dtype_bytes(dtype);
  const size_t span = static_cast<size_t>(shape[0] * tensor_.row_stride) * element;
  bytes_.assign(span + 2 * kCanaryBytes + 64 + element, kCanary);
  const auto base = reinterpret_cast<uintptr_t>(bytes_.data()) + kCanaryBytes;
  first_ = bytes_.data() + kCanaryBytes + (64 - base % 64) % 64 + element;
  tensor_.data = first_;
  if (test_device().on_cuda()) {
    twin_ = DeviceMemory(span + 3 * kCanaryBytes, test_device());
    tensor_.device = test_device();
    place(Placement::kOneOff);
  }
  for (int64_t i = 0; i < size(); ++i) set(i, std::numeric_limits<double>::quiet_NaN());
}

void Buffer::place(Placement placement) {
  if (!twin_) return;
  const size_t off = placement == Placement::kOneOff && role_ != Role::kScratch ? 1 : 0;
  tensor_.data = twin_.data() + kCanaryBytes + off * dtype_bytes(dtype_);
}

// What travels: the elements and the canaries on both sides.
Buffer::Ends Buffer::ends() const {
  const auto elements = static_cast<size_t>(tensor_.dim(0) * tensor_.row_stride);
  return {first_ - kCanaryBytes, static_cast<std::byte*>(tensor_.data) - kCanaryBytes,
          elements * dtype_bytes(dtype_) + 2 * kCanaryBytes};
}

void Buffer::upload() const {
  if (!twin_) return;
  const Ends e = ends();
  cuda::copy(e.device, e.host, e.bytes, current_stream());
}

void Buffer::download() {
  if (!twin_) return;
  const Ends e = ends();
  cuda::copy(e.host, e.device, e.bytes, current_stream());
}

void Buffer::withhold(bool away) const {
  if (!twin_ || !take_away) return;
  const Ends e = ends();
  const size_t element = dtype_bytes(dtype_);
  const auto row = static_cast<size_t>(tensor_.row_elements()) * element;
  const auto stride = static_cast<size_t>(tensor_.row_stride) * element;
  const auto* p = e.device;
  take_away(p, kCanaryBytes, away);
  p += kCanaryBytes;
  for (int64_t r = 0; r < tensor_.dim(0); ++r, p += stride)
    if (stride > row) take_away(p + row, stride - row, away);
  take_away(p, kCanaryBytes, away);
}

std::byte* Buffer::element(int64_t i) const {
  const int64_t place = gap_ == 0 ? i : i + i / (tensor_.row_stride - gap_) * gap_;
  return first_ + static_cast<size_t>(place) * element_bytes_;
}

double Buffer::at(int64_t i) const {
  const std::byte* p = element(i);
  switch (dtype_) {
    case Dtype::kF64:
      return load<double>(p);
    case Dtype::kF32:
      return load<float>(p);
    case Dtype::kBf16:
      return load<bf16>(p);
    case Dtype::kF16:
      return load<f16>(p);
    case Dtype::kI32:
      return load<int32_t>(p);
    case Dtype::kI8:
      return load<int8_t>(p);
    case Dtype::kU8:
      return load<uint8_t>(p);
    default:
      throw BugError("op harness: no such element type");
  }
}

void Buffer::set(int64_t i, double x) {
  std::byte* p = element(i);
  const bool is_nan = std::isnan(x);
  switch (dtype_) {
    case Dtype::kF64:
      return store(p, x);
    case Dtype::kF32:
      return store(p, static_cast<float>(x));
    case Dtype::kBf16:
      return store(p, to_bf16(static_cast<float>(x)));
    case Dtype::kF16:
      return store(p, to_f16(static_cast<float>(x)));
    case Dtype::kI32:
      return store(p, is_nan ? INT32_MIN : static_cast<int32_t>(x));
    case Dtype::kI8:
      return store(p, is_nan ? int8_t{-128} : static_cast<int8_t>(x));
    case Dtype::kU8:
      return store(p, is_nan ? uint8_t{255} : static_cast<uint8_t>(x));
    default:
      throw BugError("op harness: no such element type");
  }
}

std::vector<double> Buffer::values() const {
  std::vector<double> out(static_cast<size_t>(size()));
  for (int64_t i = 0; i < size(); ++i) out[static_cast<size_t>(i)] = at(i);
  return out;
}

void Buffer::set_values(const std::vector<double>& values) {
  CHECK(static_cast<int64_t>(values.size()) == size());
  for (int64_t i = 0; i < size(); ++i) set(i, values[static_cast<size_t>(i)]);
}

void Buffer::fill_uniform(Rng& rng, double low, double high) {
  for (int64_t i = 0; i < size(); ++i) set(i, low + (high - low) * rng.uniform());
}

void Buffer::restore(const std::vector<std::byte>& bytes) {
  CHECK(bytes.size() == bytes_.size());
  std::copy(bytes.begin(), bytes.end(), bytes_.begin());
}

bool Buffer::intact() const {
  const auto untouched = [](const std::byte* from, const std::byte* to) {
    return std::all_of(from, to, [](std::byte b) { return b == kCanary; });
  };
  const auto row = static_cast<size_t>(tensor_.row_stride - gap_) * element_bytes_;
  const auto gap = static_cast<size_t>(gap_) * element_bytes_;
  const std::byte* at = bytes_.data();
  const std::byte* next = first_;
  for (int64_t r = 0; r < tensor_.dim(0); ++r) {
    if (!untouched(at, next)) return false;
    at = next + row;
    next = at + gap;
  }
  return untouched(at, bytes_.data() + bytes_.size());
}

OpCase::OpCase(std::string label, uint64_t seed)
    : label_(std::move(label)), seed_(seed), rng_(seed) {
  label_.insert(std::min(label_.find(' '), label_.size()),
                test_device().on_cuda() ? " cuda" : " cpu");
}

Buffer& OpCase::add(std::string name, Role role, Dtype dtype, Shape shape, int64_t gap) {
  entries_.push_back({Buffer(std::move(name), role, dtype, std::move(shape), gap), {}});
  Buffer& buffer = entries_.back().buffer;
  if (role != Role::kOutput && role != Role::kScratch) buffer.fill_uniform(rng_, -1.0, 1.0);
  return buffer;
}

Buffer& OpCase::input(std::string name, Dtype dtype, Shape shape, int64_t gap) {
  return add(std::move(name), Role::kInput, dtype, std::move(shape), gap);
}
Buffer& OpCase::output(std::string name, Dtype dtype, Shape shape, int64_t gap) {
  return add(std::move(name), Role::kOutput, dtype, std::move(shape), gap);
}
Buffer& OpCase::accumulated(std::string name, Dtype dtype, Shape shape, int64_t gap) {
  return add(std::move(name), Role::kAccumulated, dtype, std::move(shape), gap);
}
Buffer& OpCase::in_place(std::string name, Dtype dtype, Shape shape, int64_t gap) {
  return add(std::move(name), Role::kInPlace, dtype, std::move(shape), gap);
}
Buffer& OpCase::scratch(Dtype dtype, Shape shape) {
  return add("scratch", Role::kScratch, dtype, std::move(shape), 0);
}

void OpCase::want(const Buffer& buffer, std::vector<Bounded> values) {
  CHECK(static_cast<int64_t>(values.size()) == buffer.size());
  for (Entry& entry : entries_)
    if (&entry.buffer == &buffer) {
      entry.want = std::move(values);
      return;
    }
  throw BugError("op harness: the buffer belongs to another case");
}

void expect_close(const std::string& label, const std::string& name, const std::vector<double>& got,
                  const std::vector<Bounded>& want, Dtype dtype, uint64_t seed) {
  ASSERT_EQ(got.size(), want.size()) << label << " " << name;
  size_t wrong = 0;
  std::string first;
  for (size_t i = 0; i < got.size(); ++i) {
    const double w = want[i].value, e = want[i].error;
    double tolerance = e;
    if (dtype != Dtype::kF64) tolerance += unit_roundoff(dtype) * (std::abs(w) + e);
    const bool same_infinity = std::isinf(w) && w == got[i];
    if (same_infinity || std::abs(got[i] - w) <= tolerance) continue;
    if (wrong++ == 0)
      first = cat(label, " ", name, "[", i, "]: want ", w, " got ", got[i], " tol ", tolerance,
                  " seed ", seed);
  }
  if (wrong) ADD_FAILURE() << first << " (" << wrong << " of " << got.size() << " are off)";
}

void OpCase::compare(const Entry& entry, const std::vector<double>& start, int calls) const {
  std::vector<Bounded> want = entry.want;
  const bool added = entry.buffer.role() == Role::kAccumulated;
  const double u = unit_roundoff(entry.buffer.dtype());
  for (size_t i = 0; added && i < want.size(); ++i) {
    const Bounded once = Bounded(start[i]) + want[i];
    // Between two calls the sum is rounded to storage once more.
    want[i] =
        calls == 1
            ? once
            : Bounded(once.value, once.error + u * (std::abs(once.value) + once.error)) + want[i];
  }
  expect_close(calls == 1 ? label_ : label_ + " (called twice)", entry.buffer.name(),
               entry.buffer.values(), want, entry.buffer.dtype(), seed_);
}

void OpCase::run(const std::function<void()>& call) {
  for (Entry& entry : entries_) entry.buffer.upload();
  synchronize();
  for (Entry& entry : entries_) entry.buffer.withhold(true);
  call();
  synchronize();
  for (Entry& entry : entries_) entry.buffer.withhold(false);
  for (Entry& entry : entries_) entry.buffer.download();
  synchronize();
}

void OpCase::check(const std::function<void()>& call) {
  std::vector<std::vector<std::byte>> start;
  for (const Entry& entry : entries_) start.push_back(entry.buffer.bytes());
  check_placed(call);
  if (!test_device().on_cuda()) return;
  // Once more where 16 bytes can be read at a time.
  for (size_t k = 0; k < entries_.size(); ++k) {
    entries_[k].buffer.restore(start[k]);
    entries_[k].buffer.place(Placement::kAligned);
  }
  check_placed(call);
}

void OpCase::check_placed(const std::function<void()>& call) {
  std::vector<std::vector<std::byte>> start, result;
  std::vector<std::vector<double>> start_values;
  for (const Entry& entry : entries_) {
    start.push_back(entry.buffer.bytes());
    start_values.push_back(entry.buffer.values());
  }

  run(call);
  for (size_t k = 0; k < entries_.size(); ++k) {
    const Buffer& buffer = entries_[k].buffer;
    result.push_back(buffer.bytes());
    EXPECT_TRUE(buffer.intact()) << label_ << " " << buffer.name()
                                 << ": written outside its elements, seed " << seed_;
    if (buffer.role() == Role::kInput) {
      EXPECT_TRUE(buffer.bytes() == start[k])
          << label_ << " " << buffer.name() << ": an input was changed, seed " << seed_;
    } else if (buffer.role() != Role::kScratch) {
      compare(entries_[k], start_values[k], 1);
    }
  }

  for (size_t k = 0; k < entries_.size(); ++k)
    if (entries_[k].buffer.role() != Role::kScratch) entries_[k].buffer.restore(start[k]);
  run(call);
  for (size_t k = 0; k < entries_.size(); ++k) {
    const Buffer& buffer = entries_[k].buffer;
    if (buffer.role() != Role::kScratch) {
      EXPECT_TRUE(buffer.bytes() == result[k])
          << label_ << " " << buffer.name() << ": a rerun is not bit-equal, seed " << seed_;
    }
  }
  const auto has = [&](Role role) {
    return std::any_of(entries_.begin(), entries_.end(),
                       [&](const Entry& entry) { return entry.buffer.role() == role; });
  };
  // An op that overwrites what it reads has no second call to compare.
  if (!has(Role::kAccumulated) || has(Role::kInPlace)) return;

  run(call);
  for (size_t k = 0; k < entries_.size(); ++k)
    if (entries_[k].buffer.role() == Role::kAccumulated) compare(entries_[k], start_values[k], 2);
}

std::vector<double> central_differences(const std::function<double(const std::vector<double>&)>& f,
                                        std::vector<double> x, double h) {
  std::vector<double> out(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const double middle = x[i];
    x[i] = middle + h;
    const double above = f(x);
    x[i] = middle - h;
    out[i] = (above - f(x)) / (2.0 * h);
    x[i] = middle;
  }
  return out;
}

std::vector<Bounded> with_bounds_of(const std::vector<Bounded>& like,
                                    const std::vector<double>& values) {
  CHECK(like.size() == values.size());
  std::vector<Bounded> out;
  for (size_t i = 0; i < like.size(); ++i)
    out.push_back({values[i], like[i].error + kDifferenceError});
  return out;
}

double rounded_to(Dtype dtype, double x) {
  const float f = static_cast<float>(x);
  switch (dtype) {
    case Dtype::kF32:
      return f;
    case Dtype::kBf16:
      return to_float(to_bf16(f));
    case Dtype::kF16:
      return to_float(to_f16(f));
    default:
      return x;
  }
}

}  // namespace nibble
