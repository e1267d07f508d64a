// SPDX-License-Identifier: Apache-2.0
// Where the frozen weights of the blocks are while a step runs, beside where they are stored; the
// plan of memory chooses (lib/fit). Every placement gives the same bits.
//   kept      expanded once into the form that the matmul reads, and kept so
//   streamed  in pinned host memory, copied to the device ahead of every use (CUDA)
// Streamed layers lie evenly among the others, so that each has several layers' time to come in;
// kept are the first of those that are not streamed.
#pragma once

#include <cstdint>

namespace nibble {

struct WeightPlacement {
  int64_t kept_layers = 0;
  int64_t streamed_layers = 0;    // CUDA
  bool host_embedding = false;    // CUDA: rows are read from pinned host memory
  bool mapped_embedding = false;  // CPU: rows are read where the file is mapped

  bool streams(int64_t layer, int64_t layers) const {
    return (layer + 1) * streamed_layers / layers > layer * streamed_layers / layers;
  }
  bool keeps(int64_t layer, int64_t layers) const {
    const int64_t streamed_below = layer * streamed_layers / layers;
    return !streams(layer, layers) && layer - streamed_below < kept_layers;
  }
  bool operator==(const WeightPlacement&) const = default;
};

}  // namespace nibble
