// SPDX-License-Identifier: Apache-2.0
// What every op's entry does before its loops: check each tensor's type, shape, strides and device,
// then call the twin for that device. A wrong argument is a bug of ours, named by op and field:
//   rmsnorm_forward: out is F32(7,3), want BF16(7,4)
// While it lives it is also the op's span in a profile: the bytes of every tensor checked, each
// once, and what work() says.
#pragma once

#include <initializer_list>
#include <span>

#include "base/profile.h"
#include "kernels/cuda/twins.h"
#include "kernels/simd.h"
#include "tensor/tensor.h"

namespace nibble {

enum class RowStride : bool { kDense, kFree };

class Args {
 public:
  Args(const char* op, const Stream& stream) : op_(op), device_(stream.device), span_(op) {}

  /// Throws BugError unless `t` is present, on the stream's device, of one of `dtypes` and `shape`.
  void check(const char* field, const Tensor& t, std::initializer_list<Dtype> dtypes,
             std::initializer_list<int64_t> shape, RowStride stride = RowStride::kDense) const;

  /// The same, of the shape that `like` has.
  void check_like(const char* field, const Tensor& t, std::initializer_list<Dtype> dtypes,
                  const Tensor& like, RowStride stride = RowStride::kDense) const;

  /// For what check() does not cover.
  void require(bool holds, const char* what) const {
    if (!holds) [[unlikely]]
      fail(what);
  }

  /// For the profile: operations, and bytes where they are not those of the tensors checked (a
  /// table of which few rows are read, scratch).
  void work(double flops) const { span_.add(flops, 0.0); }
  void work(double flops, double bytes) const { span_.set(flops, bytes); }
  bool profiled() const { return span_.recording(); }

  bool on_cuda() const { return device_.on_cuda(); }

 private:
  void check_against(const char* field, const Tensor& t, std::initializer_list<Dtype> dtypes,
                     std::span<const int64_t> shape, RowStride stride) const;
  [[noreturn]] void fail(std::string_view what) const;

  const char* op_;
  Device device_;
  mutable Span span_;
};

/// Bytes of a tensor's elements.
inline double tensor_bytes(const Tensor& t) {
  return static_cast<double>(t.elements()) * static_cast<double>(dtype_bytes(t.dtype));
}

/// The element types of activations, and those that weights may be kept in.
#define NIBBLE_FLOATS \
  { Dtype::kF32, Dtype::kBf16 }

/// Calls the twin of `name` for the device: cpu::name(op, stream) or cuda::name(op, stream).
#define NIBBLE_CALL_TWIN(args, name, op, stream) \
  ((args).on_cuda() ? cuda::name(op, stream) : cpu::name(op, stream))

/// The best version of a loop that HWY_EXPORT names, NIBBLE_CPU obeyed.
#define NIBBLE_SIMD(loop) (::nibble::choose_simd_target(), HWY_DYNAMIC_DISPATCH(loop))

/// Whether every element of `indices` (i32, dense, on the CPU) is in [0, limit).
bool all_below(const Tensor& indices, int64_t limit);

/// Rows a thread takes at least, so that a part is worth handing out.
inline int64_t row_grain(int64_t width) {
  constexpr int64_t kElements = 8192;
  return width >= kElements ? 1 : kElements / (width > 0 ? width : 1);
}

/// Columns likewise: whole cache lines of fp32.
inline constexpr int64_t kColumnGrain = 16;

}  // namespace nibble
