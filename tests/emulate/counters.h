// SPDX-License-Identifier: Apache-2.0
// What a kernel's accesses cost the device: the 32-byte sectors of global memory that each request
// of a warp moves, and the passes that a request of shared memory takes through its 32 banks of 4
// bytes (CUDA C++ Programming Guide, device memory accesses and shared memory banks). A request is
// the same instruction, the same time round, over the lanes of a warp. A kernel's blocks are
// counted by sample: first, last, along the diagonal, random; a sample of 24 and more is made of
// runs of neighbours instead, first, last and random ones.
//
// What requests ask for is not what memory moves: the first-level cache serves what a block asks
// for again, the second what other blocks have read. So the sectors that a block touches are
// counted once too (block_sectors), and of these those that no other counted block of the launch
// touches (own_sectors) and those that several do, once for all of them (common_sectors). A grid
// moves about own_sectors / counted_blocks * blocks + common_sectors.
//
// NIBBLE_EMULATE_COUNT=FILE counts, runs the sample alone (NIBBLE_EMULATE_SAMPLE=N blocks, else
// what begin_case() says, else 8; a smaller grid whole) and writes FILE at the end, one JSON object
// a line for each kernel. Since other blocks do not run, memory is not checked then.
#pragma once

#include <emulate/device.h>

#include <cstdint>
#include <string>
#include <vector>

namespace nibble::emulate {

struct Counts {
  std::string part, op, kernel;  // part: as begin_case() says
  int64_t launches = 0, blocks = 0, counted_blocks = 0, threads = 0;
  int64_t global_requests = 0, global_sectors = 0;
  int64_t coalesced_sectors = 0;  // as many as each request's bytes would fill
  int64_t least_sectors = 0;  // as many as the bytes that a block reads, and those it writes, fill
  int64_t block_sectors = 0;  // that a block reads, and that it writes, each once
  int64_t own_sectors = 0, common_sectors = 0;
  int64_t shared_bytes = 0;  // dynamic, as launched
  int64_t shared_requests = 0, shared_passes = 0, least_passes = 0;
  uint64_t worst_site =
      0;  // where shared memory took the most passes over the least, as in the file
  int64_t worst_site_excess = 0;
};

bool counting();
/// At most this many blocks of a grid run.
uint64_t sampled_blocks();

/// Those of a grid of `count` blocks, `width` a row, that are counted.
std::vector<uint64_t> choose_sample(uint64_t count, uint64_t width, uint64_t random);

struct LoggedAccess {
  uint64_t site, address;
  uint8_t bytes;
  bool write;
  Space space;
};

/// Blocks that are added from here on are another launch's, whose memory is another.
void begin_launch(Counts& counts);

/// Adds a block: each thread's accesses in its order.
void count_block(Counts& counts, const std::vector<std::vector<LoggedAccess>>& threads);

/// The counts of a kernel, which the program writes at its end.
Counts& counts_of(const void* kernel, const char* op);

}  // namespace nibble::emulate
