// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention.h"

#include "kernels/args.h"
#include "kernels/attention_cpu.h"

namespace nibble {
namespace {

void check_shape(const Args& args, const AttentionShape& shape) {
  args.require(shape.heads > 0 && shape.kv_heads > 0, "no heads");
  args.require(shape.heads % shape.kv_heads == 0, "kv_heads does not divide heads");
  args.require(shape.head_dim >= 1 && shape.head_dim <= 256, "head_dim is not 1 to 256");
  args.require(shape.window >= 0, "window is negative");
}

int64_t qkv_width(const AttentionShape& shape) {
  return (shape.heads + 2 * shape.kv_heads) * shape.head_dim;
}

void check_starts(const Args& args, const Tensor& starts, int64_t n) {
  args.require(starts.rank == 1 && starts.dim(0) >= 1, "starts is empty");
  args.check("starts", starts, {Dtype::kI32}, {starts.dim(0)});
  if (args.on_cuda()) return;
  const int32_t* s = starts.as<int32_t>();
  const int64_t last = starts.dim(0) - 1;
  args.require(s[0] == 0 && s[last] == n, "starts does not go from 0 to N");
  args.require(std::is_sorted(s, s + last + 1), "starts decreases");
}

void check_parents(const Args& args, const Tensor& parents, int64_t sequences) {
  args.check("parents", parents, {Dtype::kI32}, {sequences});
  if (args.on_cuda()) return;
  const int32_t* p = parents.as<int32_t>();
  for (int64_t s = 0; s < sequences; ++s)
    args.require(p[s] >= -1 && p[s] < s, "a parent is not before its sequence");
}

// Products of a query and a key that the mask lets through, times heads and head_dim: each counts 2
// operations in every matrix product over the scores.
double attended(const AttentionShape& shape, const Tensor& starts,
                const AttentionForward* tree = nullptr) {
  double pairs = 0.0;
  for (int64_t s = 0; s < cpu::sequences(starts); ++s) {
    const auto length = static_cast<double>(cpu::sequence(starts, s).length);
    const auto window =
        shape.window > 0 ? std::min(length, static_cast<double>(shape.window)) : length;
    pairs += window * (window + 1) / 2 + (length - window) * window;
    if (tree) pairs += length * std::min(static_cast<double>(cpu::prefix_length(*tree, s)), window);
  }
  return pairs * static_cast<double>(shape.heads * shape.head_dim);
}

void check_scratch(const Args& args, const Tensor& scratch, int64_t need) {
  args.require(scratch.rank == 1, "scratch is absent");
  args.check("scratch", scratch, {Dtype::kF32}, {scratch.dim(0)});
  args.require(scratch.elements() >= need, "scratch is too small");
}

}  // namespace

namespace cpu {

AttentionTiles::AttentionTiles(const AttentionShape& shape, int64_t longest, int64_t max_keys)
    : head_dim(shape.head_dim),
      padded_dim(round_up<int64_t>(shape.head_dim, 32)),
      group(shape.heads / shape.kv_heads),
      qkv_width(nibble::qkv_width(shape)),
      key_column(shape.heads * shape.head_dim),
      value_column((shape.heads + shape.kv_heads) * shape.head_dim) {
  // About 192 rows share a packed tile of keys, which costs as much as 5 of them.
  const int64_t rows = group >= 4 ? 32 : group == 1 ? 128 : 64;
  queries = std::min(rows, std::max<int64_t>(1, longest));
  padded_queries = round_up(queries, kMaxStripRows);
  keys = round_up<int64_t>(std::min(max_keys, std::max<int64_t>(1, longest)), 32);
}

int64_t longest_sequence(const Tensor& starts) {
  int64_t longest = 0;
  for (int64_t s = 0; s < sequences(starts); ++s)
    longest = std::max(longest, sequence(starts, s).length);
  return longest;
}

}  // namespace cpu

int64_t attention_forward_scratch(const AttentionShape& shape, int64_t longest, Device device) {
  return device.on_cuda() ? 0 : cpu::attention_forward_scratch(shape, longest);
}

int64_t attention_backward_scratch(const AttentionShape& shape, int64_t n, int64_t longest,
                                   Device device) {
  // On CUDA delta_i alone is kept.
  return device.on_cuda() ? n * shape.heads : cpu::attention_backward_scratch(shape, n, longest);
}

int64_t decode_chunks(const AttentionShape& shape, int64_t longest) {
  const int64_t read = shape.window > 0 ? std::min(shape.window, longest) : longest;
  return std::min(ceil_div(read, kDecodeChunk), kMostDecodeChunks);
}

int64_t attention_decode_scratch(const AttentionShape& shape, int64_t batch, int64_t longest,
                                 Device device) {
  if (!device.on_cuda()) return cpu::attention_decode_scratch(shape, batch, longest);
  // Of each chunk the sums over values, their maximum and total, and two that keep sums aligned.
  return batch * shape.heads * decode_chunks(shape, longest) * (shape.head_dim + 4);
}

void attention_forward(const AttentionForward& op, Stream stream) {
  const Args args("attention_forward", stream);
  check_shape(args, op.shape);
  args.require(op.out.rank == 2, "out is not a matrix");
  const int64_t n = op.out.dim(0);
  args.check("out", op.out, NIBBLE_FLOATS, {n, op.shape.heads * op.shape.head_dim},
             RowStride::kFree);
  args.check("qkv", op.qkv, {op.out.dtype}, {n, qkv_width(op.shape)});
  if (op.lse) args.check("lse", op.lse, {Dtype::kF32}, {n, op.shape.heads});
  check_starts(args, op.starts, n);
  if (op.parents) check_parents(args, op.parents, cpu::sequences(op.starts));
  if (!args.on_cuda())
    check_scratch(args, op.scratch,
                  attention_forward_scratch(op.shape, cpu::longest_sequence(op.starts), {}));
  if (args.profiled() && !args.on_cuda())
    args.work(4.0 * attended(op.shape, op.starts, &op),
              tensor_bytes(op.out) + tensor_bytes(op.qkv));
  NIBBLE_CALL_TWIN(args, attention_forward, op, stream);
}

void attention_backward(const AttentionBackward& op, Stream stream) {
  const Args args("attention_backward", stream);
  check_shape(args, op.shape);
  args.require(op.dqkv.rank == 2, "dqkv is not a matrix");
  const int64_t n = op.dqkv.dim(0), width = op.shape.heads * op.shape.head_dim;
  args.check("dqkv", op.dqkv, NIBBLE_FLOATS, {n, qkv_width(op.shape)}, RowStride::kFree);
  args.check("qkv", op.qkv, {op.dqkv.dtype}, {n, qkv_width(op.shape)});
  args.check("dout", op.dout, {op.dqkv.dtype}, {n, width});
  args.check("out", op.out, {op.dqkv.dtype}, {n, width}, RowStride::kFree);
  args.check("lse", op.lse, {Dtype::kF32}, {n, op.shape.heads});
  check_starts(args, op.starts, n);
  check_scratch(
      args, op.scratch,
      attention_backward_scratch(op.shape, n, args.on_cuda() ? 0 : cpu::longest_sequence(op.starts),
                                 stream.device));
  if (args.profiled() && !args.on_cuda())
    args.work(10.0 * attended(op.shape, op.starts),
              2.0 * (tensor_bytes(op.dqkv) + tensor_bytes(op.dout)));
  NIBBLE_CALL_TWIN(args, attention_backward, op, stream);
}

void attention_decode(const AttentionDecode& op, Stream stream) {
  const Args args("attention_decode", stream);
  check_shape(args, op.shape);
  args.require(op.out.rank == 2, "out is not a matrix");
  args.require(op.keys.rank == 3, "keys is not (B,P,K*D)");
  args.require(op.longest >= 0, "longest is negative");
  const int64_t batch = op.out.dim(0), room = op.keys.dim(1);
  const int64_t cached = op.shape.kv_heads * op.shape.head_dim;
  args.check("out", op.out, NIBBLE_FLOATS, {batch, op.shape.heads * op.shape.head_dim});
  args.check_like("q", op.q, {op.out.dtype}, op.out, RowStride::kFree);
  args.check("keys", op.keys, NIBBLE_FLOATS, {batch, room, cached});
  args.check("values", op.values, {op.keys.dtype}, {batch, room, cached});
  args.check("lengths", op.lengths, {Dtype::kI32}, {batch});
  check_scratch(args, op.scratch, attention_decode_scratch(op.shape, batch, room, stream.device));
  if (!args.on_cuda()) {
    const int32_t* length = op.lengths.as<int32_t>();
    const int64_t most = op.longest > 0 ? std::min(op.longest, room) : room;
    for (int64_t b = 0; b < batch; ++b)
      args.require(length[b] >= 0 && length[b] <= most, "a length is outside the cache");
    double positions = 0.0;
    for (int64_t b = 0; b < batch; ++b) positions += length[b];
    args.work(4.0 * positions * static_cast<double>(op.shape.heads * op.shape.head_dim),
              2.0 * positions * static_cast<double>(cached) *
                  static_cast<double>(dtype_bytes(op.keys.dtype)));
  } else {
    args.work(0.0, 0.0);  // how much of the cache is read stands in the device's memory
  }
  NIBBLE_CALL_TWIN(args, attention_decode, op, stream);
}

}  // namespace nibble
