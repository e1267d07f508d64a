// SPDX-License-Identifier: Apache-2.0
// Meetings of a warp: shuffles, votes, __syncwarp, ldmatrix, mma.sync. The last lane of the mask to
// come does the work for all.
#include <emulate/device.h>

#include <bit>
#include <cstdio>
#include <cstring>

#include "access.h"

namespace nibble::emulate {
namespace {

constexpr int kSync = 0, kBallot = 1, kMatch = 2, kMatrix = 3, kMma = 4, kShuffle = 8;
constexpr unsigned kAll = ~0u;

const char* meeting_name(int kind) {
  switch (kind & ~0x70) {
    case kSync:
      return "__syncwarp";
    case kBallot:
      return "a vote";
    case kMatch:
      return "__match_any_sync";
    case kMatrix:
      return "ldmatrix";
    case kMma:
      return "mma";
    default:
      return "a shuffle";
  }
}

std::string hex(unsigned mask) {
  char text[16];
  snprintf(text, sizeof text, "%08x", mask);
  return text;
}

// Brings the lanes of `mask` together. Each gives `in` and gets `out` filled by work(meeting).
template <class F>
__attribute__((always_inline)) inline void meet(int kind, unsigned mask, const void* in,
                                                size_t bytes, void* out, F work) {
  Worker& w = *worker;
  const unsigned lane = static_cast<unsigned>(w.lane_of()), bit = 1u << lane;
  Warp& warp = w.warps[w.warp_of()];
  if (!(mask & bit)) {
    w.fail(std::string(meeting_name(kind)) + ": its mask " + hex(mask) + " leaves out this lane");
  }
  if (mask & warp.exited) {
    w.fail(std::string(meeting_name(kind)) + ": its mask " + hex(mask) + " names lanes " +
           hex(mask & warp.exited) + " that have ended");
  }
  Meeting* meeting = nullptr;
  for (size_t i = 0; i < warp.open; ++i) {
    Meeting& m = warp.meetings[i];
    if (m.kind == kind && m.mask == mask) {
      meeting = &m;
    } else if (m.mask & bit) {
      w.fail(std::string("lanes of a warp are at different meetings: ") + meeting_name(kind) +
             " of lanes " + hex(mask) + ", others at " + meeting_name(m.kind) + " of lanes " +
             hex(m.mask));
    }
  }
  if (meeting == nullptr) {
    if (warp.open == warp.meetings.size()) warp.meetings.emplace_back();
    meeting = &warp.meetings[warp.open++];
    meeting->kind = kind;
    meeting->mask = mask;
    meeting->arrived = 0;
  }
  memcpy(meeting->in[lane], in, bytes);
  meeting->out[lane] = out;
  meeting->arrived |= bit;
  if (meeting->arrived != mask) return w.wait();
  work(*meeting);
  const unsigned waiting = mask & ~bit;
  for (unsigned left = waiting; left != 0; left &= left - 1) {
    w.make_ready(static_cast<uint16_t>(w.warp_of() * kWarp + std::countr_zero(left)));
  }
  Meeting& last = warp.meetings[--warp.open];
  if (meeting != &last) *meeting = last;
}

template <class F>
void each_lane(unsigned mask, F f) {
  for (unsigned left = mask; left != 0; left &= left - 1) f(std::countr_zero(left));
}

float bf16_value(uint64_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits & 0xffff) << 16);
}

}  // namespace

void warp_barrier(unsigned mask) {
  const uint64_t none = 0;
  meet(kSync, mask, &none, sizeof none, nullptr,
       [](Meeting&) { worker->order_warp(worker->warp_of()); });
}

uint64_t shuffle(Shuffle kind, unsigned mask, uint64_t value, int operand, int width) {
  Worker& w = *worker;
  if (width < 1 || width > kWarp || (width & (width - 1)) != 0) {
    w.fail("shuffle of width " + std::to_string(width));
  }
  const int lane = w.lane_of(), first = lane & ~(width - 1);
  int from = lane;
  switch (kind) {
    case Shuffle::kIndex:
      from = first | (operand & (width - 1));
      break;
    case Shuffle::kUp:
      from = lane - operand < first ? lane : lane - operand;
      break;
    case Shuffle::kDown:
      from = lane + operand >= first + width ? lane : lane + operand;
      break;
    case Shuffle::kXor:
      from = (lane ^ operand) >= first + width ? lane : lane ^ operand;
      break;
  }
  if (from < 0 || from >= kWarp || !(mask >> from & 1)) {
    w.fail("shuffle reads lane " + std::to_string(from) + ", which mask " + hex(mask) +
           " leaves out");
  }
  const uint64_t in[2] = {value, static_cast<uint64_t>(from)};
  uint64_t out = 0;
  meet(kShuffle + static_cast<int>(kind), mask, in, sizeof in, &out, [mask](Meeting& m) {
    each_lane(mask, [&](int i) { *static_cast<uint64_t*>(m.out[i]) = m.in[m.in[i][1]][0]; });
  });
  return out;
}

unsigned ballot(unsigned mask, bool predicate) {
  const uint64_t in = predicate;
  unsigned out = 0;
  meet(kBallot, mask, &in, sizeof in, &out, [mask](Meeting& m) {
    unsigned votes = 0;
    each_lane(mask, [&](int i) { votes |= static_cast<unsigned>(m.in[i][0]) << i; });
    each_lane(mask, [&](int i) { *static_cast<unsigned*>(m.out[i]) = votes; });
  });
  return out;
}

unsigned match_any(unsigned mask, uint64_t value) {
  unsigned out = 0;
  meet(kMatch, mask, &value, sizeof value, &out, [mask](Meeting& m) {
    each_lane(mask, [&](int i) {
      unsigned same = 0;
      each_lane(mask, [&](int j) { same |= unsigned{m.in[i][0] == m.in[j][0]} << j; });
      *static_cast<unsigned*>(m.out[i]) = same;
    });
  });
  return out;
}

// Any set that holds the caller is a lawful answer; the smallest is the one that code forgets.
unsigned active_mask() {
  return 1u << worker->lane_of();
}

// PTX ISA, "Warp-level matrix instructions: ldmatrix": lane 8i+j addresses row j of matrix i;
// thread t gets elements 2*(t%4), 2*(t%4)+1 of row t/4, transposed of column t/4.
void ldmatrix(uint32_t* r, const void* shared_row, int matrices, bool transposed) {
  Worker& w = *worker;
  const auto row = reinterpret_cast<uintptr_t>(shared_row);
  if (!in_shared(w, shared_row)) {
    w.fail_access(shared_row, 16, false, "ldmatrix reads only shared memory",
                  cudaErrorIllegalAddress);
  }
  if (w.lane_of() < matrices * 8) {
    note_access(shared_row, 16, Access::kRead, __builtin_return_address(0));
    access(shared_row, 16, Access::kRead);
  } else if (row % 16 != 0) {
    w.fail_access(shared_row, 16, false, "misaligned", cudaErrorMisalignedAddress);
  }
  meet(kMatrix + 0x10 * (matrices + transposed), kAll, &row, sizeof row, r, [&](Meeting& m) {
    uint16_t elements[32][8];
    for (int i = 0; i < matrices * 8; ++i) {
      memcpy(elements[i], reinterpret_cast<const void*>(m.in[i][0]), 16);
    }
    for (int t = 0; t < kWarp; ++t) {
      auto* out = static_cast<uint32_t*>(m.out[t]);
      for (int i = 0; i < matrices; ++i) {
        const int a = t / 4, b = 2 * (t % 4);
        const uint32_t low = transposed ? elements[8 * i + b][a] : elements[8 * i + a][b];
        const uint32_t high = transposed ? elements[8 * i + b + 1][a] : elements[8 * i + a][b + 1];
        out[i] = low | high << 16;
      }
    }
  });
}

// PTX ISA, "Matrix fragments for mma.m16n8k16 with floating point type".
void mma_16x8x16(float* d, const uint32_t* a, const uint32_t* b) {
  uint32_t in[10];
  memcpy(in, a, 16);
  memcpy(in + 4, b, 8);
  memcpy(in + 6, d, 16);
  meet(kMma, kAll, in, sizeof in, d, [](Meeting& m) {
    float left[16][16], right[16][8], sum[16][8];
    uint32_t word[10];
    for (int t = 0; t < kWarp; ++t) {
      memcpy(word, m.in[t], sizeof word);
      const int g = t / 4, c = 2 * (t % 4);
      for (int i = 0; i < 4; ++i) {
        const int row = g + 8 * (i & 1), column = c + 8 * (i >> 1);
        left[row][column] = bf16_value(word[i]);
        left[row][column + 1] = bf16_value(word[i] >> 16);
      }
      for (int i = 0; i < 2; ++i) {
        right[c + 8 * i][g] = bf16_value(word[4 + i]);
        right[c + 8 * i + 1][g] = bf16_value(word[4 + i] >> 16);
      }
      for (int i = 0; i < 4; ++i) {
        sum[g + 8 * (i >> 1)][c + (i & 1)] = std::bit_cast<float>(word[6 + i]);
      }
    }
    for (int i = 0; i < 16; ++i) {
      for (int k = 0; k < 16; ++k) {
        for (int j = 0; j < 8; ++j) sum[i][j] += left[i][k] * right[k][j];
      }
    }
    for (int t = 0; t < kWarp; ++t) {
      auto* out = static_cast<float*>(m.out[t]);
      const int g = t / 4, c = 2 * (t % 4);
      for (int i = 0; i < 4; ++i) out[i] = sum[g + 8 * (i >> 1)][c + (i & 1)];
    }
  });
}

}  // namespace nibble::emulate
