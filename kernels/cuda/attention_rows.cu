// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/attention_rows.h"

namespace nibble::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kEach = 8;  // elements of a head a lane holds: 256 / 32

// A head's elements spread over the lanes: lane + 32 i.
struct Head {
  float v[kEach];
};

template <class T>
__device__ __forceinline__ Head read_head(const T* p, int d) {
  Head h;
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    const int at = lane_id() + i * kWarp;
    h.v[i] = at < d ? to_f32(p[at]) : 0.0f;
  }
  return h;
}
template <class T>
__device__ __forceinline__ void write_head(T* p, int d, const Head& h) {
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    const int at = lane_id() + i * kWarp;
    if (at < d) p[at] = from_f32<T>(h.v[i]);
  }
}
__device__ __forceinline__ float dot(const Head& a, const Head& b) {
  float sum = 0.0f;
#pragma unroll
  for (int i = 0; i < kEach; ++i) sum = fmaf(a.v[i], b.v[i], sum);
  return warp_sum(sum);
}
__device__ __forceinline__ void add(Head& sum, float weight, const Head& h) {
#pragma unroll
  for (int i = 0; i < kEach; ++i) sum.v[i] = fmaf(weight, h.v[i], sum.v[i]);
}

// The warp's place: a row and a head of `heads`.
struct Place {
  int row, head;
  bool inside;
};
__device__ __forceinline__ Place place_of(const AttentionArgs& args, int heads) {
  const int64_t number =
      static_cast<int64_t>(blockIdx.x) * kWarps + static_cast<int>(threadIdx.x) / kWarp;
  return {static_cast<int>(number / heads), static_cast<int>(number % heads),
          number < static_cast<int64_t>(args.rows) * heads};
}

template <class T>
struct Rows {
  const T* qkv;
  AttentionArgs args;
  __device__ __forceinline__ Head query(int row, int head) const { return part(row, head); }
  __device__ __forceinline__ Head key(int row, int kv) const { return part(row, args.heads + kv); }
  __device__ __forceinline__ Head value(int row, int kv) const {
    return part(row, args.heads + args.kv_heads + kv);
  }
  __device__ __forceinline__ Head part(int row, int head) const {
    return read_head(qkv + row * args.qkv_stride() + static_cast<int64_t>(head) * args.head_dim,
                     args.head_dim);
  }
};

template <class T>
__global__ void __launch_bounds__(kWarps* kWarp)
    forward_rows_kernel(T* out, int64_t out_stride, float* lse, Rows<T> rows) {
  const AttentionArgs& args = rows.args;
  const Place at = place_of(args, args.heads);
  if (!at.inside) return;
  const int kv = args.kv_head(at.head);
  const Head q = rows.query(at.row, at.head);
  Head sum{};
  float top = -INFINITY, total = 0.0f;
  args.for_path(at.row, args.sequence_of(at.row), [&](int first, int end) {
    for (int j = first; j < end; ++j) {
      const float score = args.scale * dot(q, rows.key(j, kv));
      const float most = fmaxf(top, score);
      const float shrink = expf(top - most), p = expf(score - most);
      top = most;
      total = total * shrink + p;
#pragma unroll
      for (int i = 0; i < kEach; ++i) sum.v[i] *= shrink;
      add(sum, p, rows.value(j, kv));
    }
  });
#pragma unroll
  for (int i = 0; i < kEach; ++i) sum.v[i] /= total;
  write_head(out + at.row * out_stride + static_cast<int64_t>(at.head) * args.head_dim,
             args.head_dim, sum);
  if (lse && lane_id() == 0)
    lse[static_cast<int64_t>(at.row) * args.heads + at.head] = top + logf(total);
}

// What backward reads beside the rows.
template <class T>
struct Gradients {
  T* dqkv;
  int64_t dqkv_stride;
  const T* dout;
  const float* lse;
  const float* delta;
};

// p and ds of query i (head h) and key j.
template <class T>
struct Pair {
  float p, ds;
  __device__ Pair(const Gradients<T>& g, const AttentionArgs& args, int row, int head,
                  const Head& q, const Head& k, const Head& v, const Head& dout) {
    const int64_t at = static_cast<int64_t>(row) * args.heads + head;
    p = expf(args.scale * dot(q, k) - g.lse[at]);
    ds = p * (dot(dout, v) - g.delta[at]) * args.scale;
  }
};

template <class T>
__device__ __forceinline__ Head read_dout(const Gradients<T>& g, const AttentionArgs& args, int row,
                                          int head) {
  return read_head(g.dout + row * args.out_stride() + static_cast<int64_t>(head) * args.head_dim,
                   args.head_dim);
}

template <class T>
__global__ void __launch_bounds__(kWarps* kWarp)
    query_gradient_rows_kernel(Gradients<T> g, Rows<T> rows) {
  const AttentionArgs& args = rows.args;
  const Place at = place_of(args, args.heads);
  if (!at.inside) return;
  const int kv = args.kv_head(at.head);
  const Head q = rows.query(at.row, at.head), dout = read_dout(g, args, at.row, at.head);
  Head dq{};
  for (int j = args.first_key(at.row); j <= at.row; ++j) {
    const Head k = rows.key(j, kv);
    const Pair<T> pair(g, args, at.row, at.head, q, k, rows.value(j, kv), dout);
    add(dq, pair.ds, k);
  }
  write_head(g.dqkv + at.row * g.dqkv_stride + static_cast<int64_t>(at.head) * args.head_dim,
             args.head_dim, dq);
}

template <class T>
__global__ void __launch_bounds__(kWarps* kWarp)
    key_gradient_rows_kernel(Gradients<T> g, Rows<T> rows) {
  const AttentionArgs& args = rows.args;
  const Place at = place_of(args, args.kv_heads);
  if (!at.inside) return;
  const int group = args.heads / args.kv_heads, end = args.end_of_queries(at.row);
  const Head k = rows.key(at.row, at.head), v = rows.value(at.row, at.head);
  Head dk{}, dv{};
  for (int head = at.head * group; head < (at.head + 1) * group; ++head)
    for (int i = at.row; i < end; ++i) {
      const Head q = rows.query(i, head), dout = read_dout(g, args, i, head);
      const Pair<T> pair(g, args, i, head, q, k, v, dout);
      add(dk, pair.ds, q);
      add(dv, pair.p, dout);
    }
  T* const row = g.dqkv + at.row * g.dqkv_stride;
  write_head(row + static_cast<int64_t>(args.heads + at.head) * args.head_dim, args.head_dim, dk);
  write_head(row + static_cast<int64_t>(args.heads + args.kv_heads + at.head) * args.head_dim,
             args.head_dim, dv);
}

Launch warps_for(int64_t things, Stream stream, const char* name) {
  return {.grid = dim3(blocks_for(things, kWarps)),
          .block = dim3(kWarps * kWarp),
          .stream = queue(stream).stream,
          .name = name};
}

}  // namespace

void attention_forward_rows(const AttentionForward& op, const AttentionArgs& args, Stream stream) {
  with_float_type(op.out.dtype, [&](auto type) {
    using T = decltype(type);
    launch(forward_rows_kernel<T>,
           warps_for(op.out.dim(0) * op.shape.heads, stream, "attention_forward"),
           device_pointer<T>(op.out), op.out.row_stride, device_pointer<float>(op.lse),
           Rows<T>{device_pointer<T>(op.qkv), args});
  });
}

void attention_backward_rows(const AttentionBackward& op, const AttentionArgs& args,
                             const float* delta, Stream stream) {
  with_float_type(op.dqkv.dtype, [&](auto type) {
    using T = decltype(type);
    const Gradients<T> gradients = {device_pointer<T>(op.dqkv), op.dqkv.row_stride,
                                    device_pointer<T>(op.dout), device_pointer<float>(op.lse),
                                    delta};
    const Rows<T> rows = {device_pointer<T>(op.qkv), args};
    const int64_t n = op.dqkv.dim(0);
    launch(query_gradient_rows_kernel<T>,
           warps_for(n * op.shape.heads, stream, "attention_backward"), gradients, rows);
    launch(key_gradient_rows_kernel<T>,
           warps_for(n * op.shape.kv_heads, stream, "attention_backward"), gradients, rows);
  });
}

}  // namespace nibble::cuda
