// SPDX-License-Identifier: Apache-2.0
// How long a step takes, by roofline: products at a share of the matmul rate, everything else at
// the memory's. The counts are the algorithm's own (multiply-adds of each product, bytes that each
// pass must read and write); the shares are assumptions, printed with every prediction.
#pragma once

#include "fit/memory_plan.h"

namespace nibble {

/// What a machine can do at best, and the share of it that a step reaches. The defaults are for a
/// GPU's specified rates; a measured rate is reached by the step's own products too.
struct Rates {
  double matmul_flops = 0.0;  // a second, operands in the compute type
  double memory_bytes = 0.0;  // a second
  // Of a processor, as kernels/machine_rates.h measures them; 0: products are bound by memory.
  double expanded_weights = 0.0, vector_flops = 0.0;
  double matmul_share = 0.70, memory_share = 0.75;
  double attention_share = 0.0;  // of the matmul rate, of attention's own products; 0: as others
  double wgmma_share = 0.0;      // the same of heads that wgmma takes; 0: as other heads'
  // Of a GPU: what the host takes to launch a kernel, and what passes between one kernel and the
  // next on the device. Whichever takes longer, host or device, is what a step takes.
  double launch_seconds = 0.0, gap_seconds = 0.0;
  bool hides_expansion = false;  // behind the products before
  double instructions = 0.0;     // of a GPU's threads, a second; 0: not known
  double host_bytes = 25e9;      // a second, to or from pinned host memory
};
/// Over 16 lanes of PCIe; Hopper and Blackwell have the fifth.
inline constexpr double kPcie4Bytes = 25e9, kPcie5Bytes = 50e9;
inline constexpr double kMeasuredShare = 0.85;
/// What cuBLAS was measured at on an H100, of its 989 TFLOP/s: 780 at 2048 x 4224 x 8192 (H. He,
/// "H100 peak matmul FLOPS"), 792 (S. Bekman, "Maximum Achievable Matmul FLOPS"). Shown beside the
/// default, which leaves room for other shapes and for clocks under load.
inline constexpr double kBestMatmulShare = 0.80;
/// FlashAttention-2, which by mma.sync is what the CUDA half does: 50 to 73% of an A100's rate (Dao
/// 2023), 35% of an H100's, whose full rate takes other instructions (Shah et al. 2024).
inline constexpr double kGpuAttentionShare = 0.50, kHopperAttentionShare = 0.35;
/// By wgmma, for heads of 64 and 128 on compute capability 9.0. FlashAttention-3 without warp
/// specialisation, which is how the kernels are built, reaches 570 of an H100's 989 TFLOP/s
/// forward, at 16k tokens without a mask (Shah et al. 2024, table of the ablation). That is 58%, of
/// which a quarter is left here for short sequences, the mask's diagonal and the backward pass.
inline constexpr double kWgmmaAttentionShare = 0.43;
/// What a GPU's products go through at a time of the numbers that a sum has: 64 of bf16 are the 128
/// bytes that its tiles' rows are. Where adapters ride in a product, its sums are longer by their
/// ranks, and the last step is not full.
inline constexpr int64_t kProductStep = 64;
inline constexpr double kLaunchSeconds = 3.5e-6, kReplayedLaunchSeconds = 1e-6, kGapSeconds = 1e-6;
/// Where nothing is known of the machine, settings are ordered as on one that reads 100 bytes in
/// the time of 10,000 operations, as most do within a factor of three; and on a GPU of the middle.
inline constexpr Rates kTypicalRates{.matmul_flops = 1e12, .memory_bytes = 1e10};
inline constexpr Rates kTypicalGpuRates{.matmul_flops = 1.5e14,
                                        .memory_bytes = 1e12,
                                        .attention_share = kGpuAttentionShare,
                                        .launch_seconds = kLaunchSeconds,
                                        .gap_seconds = kGapSeconds,
                                        .hides_expansion = true};

inline const Rates& rates_or_typical(const Rates& rates, DeviceKind device) {
  return rates.matmul_flops > 0        ? rates
         : device == DeviceKind::kCuda ? kTypicalGpuRates
                                       : kTypicalRates;
}

/// Kernels that a graph holds for one block, forward and backward, expansions of its weights among
/// them, with adapters on all linear layers; kernels of a block that decodes, of choosing a token,
/// of a chunk of the loss and of an update. As scripts/kernel-report counts them.
inline constexpr double kForwardLaunches = 33.0, kBackwardLaunches = 40.0, kDecodeLaunches = 10.0,
                        kChoiceLaunches = 8.0, kLossChunkLaunches = 7.0, kUpdateLaunches = 12.0;

/// And more of them with dropout: masks, and products of each part where else one is of them all.
inline constexpr double kDropoutForwardLaunches = 10.0, kDropoutBackwardLaunches = 10.0;

/// Of a micro-batch on a GPU.
struct StepLaunches {
  double blocks = 0.0, loss = 0.0;
};
StepLaunches step_launches(const ModelConfig& config, const StepOptions& options);

struct StepCost {
  double flops = 0.0, bytes = 0.0;                      // of a micro-batch, the update left out
  double recompute_flops = 0.0, recompute_bytes = 0.0;  // beside these, for what is made again
  double attention_flops = 0.0, recompute_attention_flops = 0.0;  // attention's own of these
  bool wgmma_heads = false;                                       // attention's
  double expand_bytes = 0.0;  // of a micro-batch: frozen weights made what products read
  // To or from the host's memory, whichever is more, of a micro-batch's passes and of an update.
  double forward_copies = 0.0, backward_copies = 0.0, update_copies = 0.0;
  double update_bytes = 0.0;  // of an update
  // Of kernels one after another, on a GPU; of these, of a block there and back.
  double launches = 0.0, update_launches = 0.0, block_launches = 0.0;

  /// Of the matmul rate, what attention's products reach.
  double attention_share(const Rates& rates) const;
  /// Of a micro-batch's products.
  double product_seconds(const Rates& rates) const;
  /// Of an update over `micro_batches`.
  double seconds(const Rates& rates, int64_t micro_batches) const;
};

/// Of training: forward, backward through frozen and trained weights, head and loss.
StepCost training_cost(const Model& model, const TrainJob& job);

/// `cost` says whether copies to and from the host's memory are among them.
std::vector<std::string> cost_assumptions(const Rates& rates, const StepCost& cost);

}  // namespace nibble
