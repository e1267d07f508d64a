// SPDX-License-Identifier: Apache-2.0
// What every op's test does alike. An OpCase owns the op's buffers, by name and by role, each
// between canaries; check() calls the op twice and holds it to its contract:
//   once, against the wanted values; inputs, canaries and the gaps between rows untouched;
//   again from the same start, but for scratch, which is as the first call left it: bit-equal;
//   one that adds to a buffer again without a fresh start: it has been added twice.
// Outputs start as NaN, so an element that is not written is seen; canaries are NaN too, so one
// that is read is seen. A typical test:
//
//   OpCase op(cat("rmsnorm_forward ", ...), seed);
//   Buffer& in = op.input("in", Dtype::kBf16, {n, c});
//   Buffer& out = op.output("out", Dtype::kBf16, {n, c});
//   op.want(out, rmsnorm_reference<Bounded>(in.values(), ...));
//   op.check([&] { rmsnorm_forward({.out = out.tensor(), .in = in.tensor(), ...}); });
//
// With NIBBLE_TEST_DEVICE=cuda the same tests run on that device: every buffer has a twin there,
// which op.check() fills before each call and reads back after it. On the emulated device reading a
// canary is a fault of its own, also where nothing comes of it.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "support/bf16_dots.h"
#include "support/bounded.h"
#include "tensor/memory.h"

namespace nibble {

using Shape = std::vector<int64_t>;

/// What the ops under test run on; current_stream() is then a stream of it. A notice fails the test
/// in which it comes; where the device cannot be used the program says so and ends with 77.
Device test_device();
/// For tests of what only the CPU half promises.
#define SKIP_UNLESS_CPU() \
  if (test_device().on_cuda()) GTEST_SKIP() << "a promise of the CPU half"

/// on_every_bf16_dot() of the CPU half; a device's halves, once.
template <class Body>
void on_every_dot(const Body& body) {
  test_device().on_cuda() ? body() : on_every_bf16_dot(body);
}

/// Where not null: takes bytes of the device's memory away from kernels, and gives them back.
extern void (*take_away)(const void* p, size_t bytes, bool away);

/// "(7,1023)"
std::string shape_name(const Shape& shape);

enum class Role {
  kInput,        // read, left as it was
  kOutput,       // written, starts as NaN
  kAccumulated,  // added to, starts as random values
  kInPlace,      // read and overwritten
  kScratch,      // anything goes, starts as NaN
};

/// Where a buffer's twin on a device starts: one element past a multiple of 16 bytes, or on one.
enum class Placement : bool { kOneOff, kAligned };

/// Memory of a tensor between canaries. It starts one element past a 64-byte boundary, as a column
/// range of a wider matrix may; `gap` canary elements lie between rows.
class Buffer {
 public:
  Buffer(std::string name, Role role, Dtype dtype, Shape shape, int64_t gap = 0);

  const std::string& name() const { return name_; }
  Role role() const { return role_; }
  Dtype dtype() const { return dtype_; }
  const Tensor& tensor() const { return tensor_; }
  int64_t size() const { return tensor_.elements(); }

  /// Element i in row-major order, gaps left out.
  double at(int64_t i) const;
  /// Stores x rounded to the buffer's type.
  void set(int64_t i, double x);
  std::vector<double> values() const;
  void set_values(const std::vector<double>& values);
  /// Uniform in [low, high), rounded to the buffer's type.
  void fill_uniform(Rng& rng, double low, double high);

  const std::vector<std::byte>& bytes() const { return bytes_; }
  void restore(const std::vector<std::byte>& bytes);
  /// Whether canaries and gaps are as they were made.
  bool intact() const;
  /// To and from the twin on the test's device, where that is not the CPU.
  void place(Placement placement);
  void upload() const;
  void download();
  /// The twin's canaries and gaps, while a call runs (take_away).
  void withhold(bool away) const;

 private:
  struct Ends {
    std::byte *host, *device;
    size_t bytes;
  };
  Ends ends() const;
  std::byte* element(int64_t i) const;

  std::string name_;
  Role role_;
  Dtype dtype_;
  int64_t gap_ = 0;
  size_t element_bytes_ = 0;
  std::vector<std::byte> bytes_;
  std::byte* first_ = nullptr;
  DeviceMemory twin_;
  Tensor tensor_;
};

class OpCase {
 public:
  /// `label` starts every message, with the device after its first word: "rmsnorm_backward bf16
  /// (7,1023)" becomes "rmsnorm_backward cpu bf16 (7,1023)".
  OpCase(std::string label, uint64_t seed);

  Rng& rng() { return rng_; }
  /// Uniform in [-1, 1) until told otherwise (Buffer::fill_uniform, set_values).
  Buffer& input(std::string name, Dtype dtype, Shape shape, int64_t gap = 0);
  Buffer& output(std::string name, Dtype dtype, Shape shape, int64_t gap = 0);
  Buffer& accumulated(std::string name, Dtype dtype, Shape shape, int64_t gap = 0);
  Buffer& in_place(std::string name, Dtype dtype, Shape shape, int64_t gap = 0);
  Buffer& scratch(Dtype dtype, Shape shape);

  /// What `buffer` must hold after one call, before rounding to its type; for one that is added
  /// to, what is added.
  void want(const Buffer& buffer, std::vector<Bounded> values);

  /// One call, on a device between the journeys there and back.
  void run(const std::function<void()>& call);

  /// The calls above, on a device twice, the second time with buffers at multiples of 16 bytes.
  /// Every buffer but inputs and scratch must have its wanted values.
  void check(const std::function<void()>& call);

 private:
  struct Entry {
    Buffer buffer;
    std::vector<Bounded> want;
  };
  Buffer& add(std::string name, Role role, Dtype dtype, Shape shape, int64_t gap);
  void check_placed(const std::function<void()>& call);
  void compare(const Entry& entry, const std::vector<double>& start, int calls) const;

  std::string label_;
  uint64_t seed_;
  Rng rng_;
  std::deque<Entry> entries_;
};

/// One failure line per tensor, the first element that is off and how many are, in the form
/// "LABEL NAME[12]: want 0.8125 got 0 tol 4e-3 seed 5". `want` is before rounding to `dtype`.
void expect_close(const std::string& label, const std::string& name, const std::vector<double>& got,
                  const std::vector<Bounded>& want, Dtype dtype, uint64_t seed);

/// (f(x + h e_i) - f(x - h e_i)) / 2h for every i. In double, for functions of order 1, the
/// method's own error is about h^2 + epsilon/h, 1e-10; kDifferenceError leaves room for larger
/// derivatives.
inline constexpr double kDifferenceError = 1e-8;
std::vector<double> central_differences(const std::function<double(const std::vector<double>&)>& f,
                                        std::vector<double> x, double h = 1e-5);

/// `values`, each with the bound that `like` has at its place, widened by kDifferenceError: central
/// differences as wanted values.
std::vector<Bounded> with_bounds_of(const std::vector<Bounded>& like,
                                    const std::vector<double>& values);

/// The float types of activations; a test loops over them.
inline constexpr Dtype kFloatTypes[] = {Dtype::kF32, Dtype::kBf16};
/// x rounded to `dtype`, as a kernel stores it.
double rounded_to(Dtype dtype, double x);

}  // namespace nibble
