// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/wgmma_check.h"

#include <cmath>
#include <cstdlib>
#include <map>
#include <mutex>
#include <vector>

#include "base/checked.h"
#include "base/error.h"
#include "base/float16.h"
#include "base/notice.h"
#include "base/rng.h"
#include "kernels/attention.h"
#include "kernels/cuda/check.h"
#include "kernels/cuda/queue.h"
#include "kernels/cuda/twins.h"

namespace nibble::cuda {
namespace {

// More than a tile of each kind and no multiple of one, in two sequences.
constexpr int32_t kStarts[] = {0, 137, 200};
constexpr int64_t kRows = 200, kHeads = 2, kKvHeads = 1;

class Memory {
 public:
  /// What comes next of the stream's workspace.
  Memory(const Stream& stream, size_t& used, Dtype dtype, std::initializer_list<int64_t> shape)
      : stream_(stream), tensor_(make_tensor(nullptr, dtype, shape, stream.device)) {
    tensor_.data = static_cast<std::byte*>(queue(stream).workspace) + used;
    used += round_up<size_t>(tensor_.bytes(), 256);
    CHECK(used <= kCublasWorkspaceBytes);
    zero(tensor_.data, tensor_.bytes(), stream);
  }
  const Tensor& tensor() const { return tensor_; }
  void set(const void* values) { copy(tensor_.data, values, tensor_.bytes(), stream_); }

  /// The values, once all work before is done.
  template <class T>
  std::vector<float> read() const {
    std::vector<T> values(static_cast<size_t>(tensor_.elements()));
    copy(values.data(), tensor_.data, tensor_.bytes(), stream_);
    synchronize(stream_);
    std::vector<float> out;
    for (const T& value : values) out.push_back(to_float(value));
    return out;
  }

 private:
  Stream stream_;
  Tensor tensor_;
};

// What NIBBLE_WGMMA says.
bool wanted() {
  const char* value = std::getenv("NIBBLE_WGMMA");
  const std::string_view text = value ? value : "";
  if (text == "0") return false;
  if (text.empty() || text == "1") return true;
  throw UsageError(cat("NIBBLE_WGMMA=", text, ": neither 0 nor 1"));
}

// out, lse and dqkv of one way.
using Results = std::vector<std::vector<float>>;

Results run(bool wgmma, int64_t dim, Stream stream) {
  queue(stream).wgmma = wgmma;
  const AttentionShape shape{kHeads, kKvHeads, dim, 0, 1.0f / std::sqrt(static_cast<float>(dim))};
  const int64_t width = (kHeads + 2 * kKvHeads) * dim;
  size_t used = 0;
  Memory qkv(stream, used, Dtype::kBf16, {kRows, width});
  Memory dqkv(stream, used, Dtype::kBf16, {kRows, width});
  Memory out(stream, used, Dtype::kBf16, {kRows, kHeads * dim});
  Memory dout(stream, used, Dtype::kBf16, {kRows, kHeads * dim});
  Memory lse(stream, used, Dtype::kF32, {kRows, kHeads}), starts(stream, used, Dtype::kI32, {3});
  Memory scratch(stream, used, Dtype::kF32,
                 {attention_backward_scratch(shape, kRows, 137, stream.device)});
  Rng rng(17);
  const auto random = [&](const Memory& memory) {
    std::vector<bf16> values(static_cast<size_t>(memory.tensor().elements()));
    for (bf16& x : values) x = to_bf16(static_cast<float>(2.0 * rng.uniform() - 1.0));
    return values;
  };
  const auto inputs = random(qkv), gradients = random(dout);
  qkv.set(inputs.data());
  dout.set(gradients.data());
  starts.set(kStarts);
  cuda::attention_forward({.out = out.tensor(),
                           .lse = lse.tensor(),
                           .qkv = qkv.tensor(),
                           .starts = starts.tensor(),
                           .shape = shape},
                          stream);
  cuda::attention_backward({.dqkv = dqkv.tensor(),
                            .dout = dout.tensor(),
                            .out = out.tensor(),
                            .qkv = qkv.tensor(),
                            .lse = lse.tensor(),
                            .starts = starts.tensor(),
                            .shape = shape,
                            .scratch = scratch.tensor()},
                           stream);
  return {out.read<bf16>(), lse.read<float>(), dqkv.read<bf16>()};
}

// Both ways round the same weights to bf16 and the results too, in sums of the same terms: four
// roundings of 2^-9 apart, and twice that for terms that nearly cancel. What is read from a wrong
// place differs by the size of the numbers themselves.
bool close(const std::vector<float>& a, const std::vector<float>& b) {
  float largest = 0.0f, apart = 0.0f;
  for (size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::abs(a[i]));
    if (!(std::abs(a[i] - b[i]) <= apart))
      apart = std::abs(a[i] - b[i]);  // also where it is no number
    if (!std::isfinite(apart)) return false;
  }
  return apart <= largest * 0x1p-6f;
}

}  // namespace

bool wgmma_agrees(Stream stream) {
  bool agrees = true;
  for (const int64_t dim : {64, 128}) {
    const Results without = run(false, dim, stream);
    const Results with = [&] {
      try {
        return run(true, dim, stream);
      } catch (const BugError& error) {  // after which the process has no use of the device
        throw BugError(cat(error.what(), "; NIBBLE_WGMMA=0 does without wgmma"));
      }
    }();
    for (size_t i = 0; i < without.size(); ++i) agrees = agrees && close(without[i], with[i]);
  }
  queue(stream).wgmma = agrees;
  if (!agrees)
    notice(
        "attention on this GPU's wgmma instructions differs from that on mma.sync; goes on with "
        "mma.sync");
  return agrees;
}

bool wgmma_usable(Stream stream) {
  if (!wanted()) return false;
#ifdef NIBBLE_HOPPER
  static std::mutex mutex;
  static std::map<int, bool> known;
  const std::lock_guard lock(mutex);
  const int device = stream.device.index;
  if (const auto it = known.find(device); it != known.end()) return it->second;
  int major = 0, minor = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "capability");
  check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device), "capability");
  return known[device] = major == 9 && minor == 0 && wgmma_agrees(stream);
#else
  static_cast<void>(stream);
  return false;
#endif
}

}  // namespace nibble::cuda
