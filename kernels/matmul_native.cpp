// SPDX-License-Identifier: Apache-2.0
// bf16 products by oneDNN primitives. Making one costs far more than looking it up, and a training
// step has a few dozen shapes, so they are kept by everything that shapes the generated code.
#include <array>
#include <map>
#include <memory>
#include <mutex>

#include "base/checked.h"
#include "dnnl.hpp"
#include "kernels/matmul_cpu.h"

namespace nibble::cpu {
namespace {

struct Primitive {
  dnnl::memory::desc a, b, out, scratch;
  dnnl::matmul matmul;
};

// What of an operand enters the primitive: rows, columns, row stride, dtype.
using Key = std::array<int64_t, 16>;

constexpr size_t kMaxPrimitives = 1024;

const dnnl::engine& engine() {
  static const dnnl::engine e(dnnl::engine::kind::cpu, 0);
  return e;
}

// op(t) as oneDNN sees it: a transpose is only another pair of strides.
dnnl::memory::desc describe(const Tensor& t, bool transposed) {
  const auto type =
      t.dtype == Dtype::kF32 ? dnnl::memory::data_type::f32 : dnnl::memory::data_type::bf16;
  const int64_t stride = t.dim(0) > 1 ? t.row_stride : t.dim(1);
  if (transposed) return {{t.dim(1), t.dim(0)}, type, dnnl::memory::dims{1, stride}};
  return {{t.dim(0), t.dim(1)}, type, dnnl::memory::dims{stride, 1}};
}

std::unique_ptr<Primitive> make(const Matmul& op) {
  auto p = std::make_unique<Primitive>();
  p->a = describe(op.a, op.a_transpose == Transpose::kYes);
  p->b = describe(op.b, op.b_transpose == Transpose::kYes);
  p->out = describe(op.out, false);
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (op.alpha != 1.0f) attr.set_output_scales(0, {op.alpha});
  if (op.beta != 0.0f) {
    dnnl::post_ops ops;
    ops.append_sum(op.beta);
    attr.set_post_ops(ops);
  }
  const dnnl::matmul::primitive_desc pd({p->a, p->b, p->out}, attr, engine(), true);
  if (!pd) return nullptr;
  p->scratch = pd.scratchpad_desc();
  p->matmul = dnnl::matmul(pd);
  return p;
}

// Null where oneDNN has no such product on this machine.
std::shared_ptr<const Primitive> find(const Matmul& op) {
  static std::mutex mutex;
  static std::map<Key, std::shared_ptr<const Primitive>> cache;
  Key key{};
  size_t i = 0;
  for (const Tensor* t : {&op.out, &op.a, &op.b})
    for (const int64_t x : {t->dim(0), t->dim(1), t->dim(0) > 1 ? t->row_stride : t->dim(1),
                            static_cast<int64_t>(t->dtype)})
      key[i++] = x;
  key[i++] = op.a_transpose == Transpose::kYes;
  key[i++] = op.b_transpose == Transpose::kYes;
  key[i++] = std::bit_cast<int32_t>(op.alpha);
  key[i++] = std::bit_cast<int32_t>(op.beta);
  const std::lock_guard lock(mutex);
  if (const auto found = cache.find(key); found != cache.end()) return found->second;
  if (cache.size() >= kMaxPrimitives) cache.clear();
  try {
    return cache[key] = make(op);
  } catch (const dnnl::error& e) {
    throw BugError(cat("matmul: oneDNN refused ", nibble::describe(op.a), " by ",
                       nibble::describe(op.b), ": ", e.what()));
  }
}

}  // namespace

bool native_supports(const Matmul& op) {
  return find(op) != nullptr;
}

int64_t native_scratch_elements(const Matmul& op) {
  return static_cast<int64_t>(ceil_div(find(op)->scratch.get_size(), sizeof(float)));
}

void matmul_native(const Matmul& op) {
  const auto p = find(op);
  try {
    dnnl::stream stream(engine());
    const dnnl::memory a(p->a, engine(), op.a.data), b(p->b, engine(), op.b.data);
    const dnnl::memory out(p->out, engine(), op.out.data);
    const dnnl::memory scratch(p->scratch, engine(), op.scratch.data);
    p->matmul.execute(stream, {{DNNL_ARG_SRC, a},
                               {DNNL_ARG_WEIGHTS, b},
                               {DNNL_ARG_DST, out},
                               {DNNL_ARG_SCRATCHPAD, scratch}});
    stream.wait();
  } catch (const dnnl::error& e) {
    throw BugError(cat("matmul: oneDNN failed on ", nibble::describe(op.a), " by ",
                       nibble::describe(op.b), ": ", e.what()));
  }
}

}  // namespace nibble::cpu
