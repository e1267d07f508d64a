// SPDX-License-Identifier: Apache-2.0
// What a Stream's handle points to on CUDA: the stream itself and the small memories that work in
// it needs at a time: cuBLASLt's workspace, device scratch for sums, and a pinned page for their
// results.
#pragma once

#include <cuda_runtime.h>

#include "base/error.h"
#include "tensor/cuda.h"

namespace nibble::cuda {

inline constexpr int kPartialSums = 1024;

static_assert(kStreamBytes == kCublasWorkspaceBytes + kPartialSums * sizeof(double));

struct Queue {
  int device = 0;
  cudaStream_t stream = nullptr;
  void* workspace = nullptr;       // kCublasWorkspaceBytes; of any op, between two of the stream
  double* partial_sums = nullptr;  // (kPartialSums)
  double* result = nullptr;        // pinned, of the host
  size_t most_shared = 0;          // bytes that a block may have
  Sums sums = Sums::kInParts;
  bool wgmma = false;  // attention may use it: wgmma_check.h
};

/// Throws UnavailableError where the stream is none of create_stream()'s.
inline Queue& queue(Stream stream) {
  if (stream.handle == nullptr) throw UnavailableError("there is no stream of a CUDA device");
  return *static_cast<Queue*>(stream.handle);
}

}  // namespace nibble::cuda
