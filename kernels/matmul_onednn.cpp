// SPDX-License-Identifier: Apache-2.0
// bf16 products by oneDNN primitives. Making one costs far more than looking it up, and a training
// step has a few dozen shapes, so they are kept by everything that shapes the generated code.
#include <array>
#include <bit>
#include <map>
#include <memory>
#include <mutex>

#include "base/checked.h"
#include "kernels/matmul_cpu.h"
#include "kernels/onednn.h"

namespace nibble::cpu {
namespace {

/// A handle of oneDNN's and what takes it back.
template <class Handle, auto kDestroy>
class Owned {
 public:
  Owned() = default;
  ~Owned() {
    if (handle_) (onednn().*kDestroy)(handle_);
  }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  Handle* fill() { return &handle_; }
  Handle get() const { return handle_; }

 private:
  Handle handle_ = nullptr;
};

struct Primitive {
  dnnl_memory_desc_t a{}, b{}, out{}, scratch{};
  Owned<dnnl_primitive_t, &OneDnn::primitive_destroy> matmul;
};

// What of an operand enters the primitive: rows, columns, row stride, dtype.
using Key = std::array<int64_t, 16>;

constexpr size_t kMaxPrimitives = 1024;

void check(const char* what, dnnl_status_t status, const Matmul& op) {
  if (status != dnnl_success)
    throw BugError(cat("matmul: oneDNN's ", what, " on ", describe(op.a), " by ", describe(op.b),
                       ": ", onednn().status2str(status)));
}

dnnl_engine_t engine() {
  static const dnnl_engine_t it = [] {
    dnnl_engine_t e = nullptr;
    CHECK(onednn().engine_create(&e, dnnl_cpu, 0) == dnnl_success);
    return e;
  }();
  return it;
}

// op(t) as oneDNN sees it: a transpose is only another pair of strides.
void view(dnnl_memory_desc_t& out, const Tensor& t, bool transposed) {
  const auto type = t.dtype == Dtype::kF32 ? dnnl_f32 : dnnl_bf16;
  const int64_t stride = t.dim(0) > 1 ? t.row_stride : t.dim(1);
  dnnl_dims_t dims = {t.dim(0), t.dim(1)}, strides = {stride, 1};
  if (transposed) {
    std::swap(dims[0], dims[1]);
    std::swap(strides[0], strides[1]);
  }
  CHECK(onednn().memory_desc_init_by_strides(&out, 2, dims, type, strides) == dnnl_success);
}

std::unique_ptr<Primitive> make(const Matmul& op) {
  const OneDnn& dnn = onednn();
  auto p = std::make_unique<Primitive>();
  view(p->a, op.a, op.a_transpose == Transpose::kYes);
  view(p->b, op.b, op.b_transpose == Transpose::kYes);
  view(p->out, op.out, false);
  Owned<dnnl_primitive_attr_t, &OneDnn::primitive_attr_destroy> attr;
  check("attributes", dnn.primitive_attr_create(attr.fill()), op);
  check("attributes", dnn.primitive_attr_set_scratchpad_mode(attr.get(), dnnl_scratchpad_mode_user),
        op);
  if (op.alpha != 1.0f)
    check("scale", dnn.primitive_attr_set_output_scales(attr.get(), 1, 0, &op.alpha), op);
  if (op.beta != 0.0f) {
    Owned<dnnl_post_ops_t, &OneDnn::post_ops_destroy> sum;
    check("sum", dnn.post_ops_create(sum.fill()), op);
    check("sum", dnn.post_ops_append_sum(sum.get(), op.beta), op);
    check("sum", dnn.primitive_attr_set_post_ops(attr.get(), sum.get()), op);
  }
  dnnl_matmul_desc_t product;
  check("description", dnn.matmul_desc_init(&product, &p->a, &p->b, nullptr, &p->out), op);
  Owned<dnnl_primitive_desc_t, &OneDnn::primitive_desc_destroy> chosen;
  const dnnl_status_t status =
      dnn.primitive_desc_create(chosen.fill(), &product, attr.get(), engine(), nullptr);
  if (status == dnnl_unimplemented) return nullptr;
  check("choice", status, op);
  p->scratch = *dnn.primitive_desc_query_md(chosen.get(), dnnl_query_scratchpad_md, 0);
  check("compilation", dnn.primitive_create(p->matmul.fill(), chosen.get()), op);
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
  return cache[key] = make(op);
}

}  // namespace

bool onednn_supports(const Matmul& op) {
  return find(op) != nullptr;
}

int64_t onednn_scratch_elements(const Matmul& op) {
  const size_t bytes = onednn().memory_desc_get_size(&find(op)->scratch);
  return static_cast<int64_t>(ceil_div(bytes, sizeof(float)));
}

void matmul_onednn(const Matmul& op) {
  const OneDnn& dnn = onednn();
  const auto p = find(op);
  Owned<dnnl_stream_t, &OneDnn::stream_destroy> stream;
  check("stream", dnn.stream_create(stream.fill(), engine(), dnnl_stream_default_flags), op);
  using Memory = Owned<dnnl_memory_t, &OneDnn::memory_destroy>;
  Memory a, b, out, scratch;
  const auto wrap = [&](Memory& memory, const dnnl_memory_desc_t& shape, void* data) {
    check("memory", dnn.memory_create(memory.fill(), &shape, engine(), data), op);
  };
  wrap(a, p->a, op.a.data);
  wrap(b, p->b, op.b.data);
  wrap(out, p->out, op.out.data);
  wrap(scratch, p->scratch, op.scratch.data);
  const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, a.get()},
                                       {DNNL_ARG_WEIGHTS, b.get()},
                                       {DNNL_ARG_DST, out.get()},
                                       {DNNL_ARG_SCRATCHPAD, scratch.get()}};
  check("product", dnn.primitive_execute(p->matmul.get(), stream.get(), 4, arguments), op);
  check("product", dnn.stream_wait(stream.get()), op);
}

}  // namespace nibble::cpu
