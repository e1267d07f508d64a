// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/sums.h"

#include "kernels/cuda/values.h"

namespace nibble::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kLeastPart = 16 * kThreads;

__device__ __forceinline__ double warp_sum_of(double x) {
  for (int step = kWarp / 2; step > 0; step /= 2) x += __shfl_xor_sync(kAllLanes, x, step);
  return x;
}

// A block adds up its part of `in`, or, for the second launch, all partial sums, to `out` as it is
// where it adds.
template <class T>
__global__ void __launch_bounds__(kThreads)
    total_kernel(double* out, const T* in, int64_t count, int64_t part, bool squares, bool add) {
  __shared__ double sums[kThreads / kWarp];
  const int64_t begin = static_cast<int64_t>(blockIdx.x) * part;
  const int64_t end = min(begin + part, count);
  double sum = 0.0;
  for (int64_t i = begin + threadIdx.x; i < end; i += kThreads) {
    const double x = in[i];
    sum += squares ? x * x : x;
  }
  sum = warp_sum_of(sum);
  if (threadIdx.x % kWarp == 0) sums[threadIdx.x / kWarp] = sum;
  __syncthreads();
  if (threadIdx.x != 0) return;
  double all = 0.0;
  for (const double s : sums) all += s;
  out[blockIdx.x] = add ? out[blockIdx.x] + all : all;
}

// The sum into `out`, or added to it.
void sum_into(double* out, bool add, const Tensor& in, SumOf what, Queue& q, const char* name) {
  const int64_t count = in.elements();
  const int64_t part = std::max(kLeastPart, (count + kPartialSums - 2) / (kPartialSums - 1));
  const unsigned blocks = blocks_for(count, part);
  const dim3 threads(kThreads);
  launch(total_kernel<float>,
         {.grid = dim3(blocks), .block = threads, .stream = q.stream, .name = name}, q.partial_sums,
         device_pointer<float>(in), count, part, what == SumOf::kSquares, false);
  launch(total_kernel<double>,
         {.grid = dim3(1), .block = threads, .stream = q.stream, .name = name}, out, q.partial_sums,
         static_cast<int64_t>(blocks), static_cast<int64_t>(blocks), false, add);
}

}  // namespace

const double* total_on_device(const Tensor& in, SumOf what, Stream stream, const char* name) {
  Queue& q = queue(stream);
  double* const sum = q.partial_sums + kPartialSums - 1;
  sum_into(sum, false, in, what, q, name);
  return sum;
}

double read_total(const double* sum, Stream stream, const char* name) {
  const Queue& q = queue(stream);
  check(cudaMemcpyAsync(q.result, sum, sizeof(double), cudaMemcpyDeviceToHost, q.stream), name);
  check(cudaStreamSynchronize(q.stream), name);
  return *q.result;
}

double total(const Tensor& in, SumOf what, Stream stream, const char* name) {
  return read_total(total_on_device(in, what, stream, name), stream, name);
}

void add_total(const Tensor& in, double* out, Stream stream, const char* name) {
  sum_into(out, true, in, SumOf::kValues, queue(stream), name);
}

}  // namespace nibble::cuda
