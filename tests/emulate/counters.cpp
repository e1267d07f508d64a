// SPDX-License-Identifier: Apache-2.0
#include "counters.h"

#include <cxxabi.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "emulate.h"
#include "program.h"

namespace nibble::emulate {
namespace {

constexpr size_t kWarp = 32;
constexpr uint64_t kSector = 32, kBankBytes = 4, kBanks = 32;
// Blocks that share a row may differ: 1, 2, 3, 4, 6 or 12 of them are seen in their proportion.
constexpr uint64_t kNeighbours = 12;

struct Lane {
  uint64_t site, round;
  unsigned lane;
  LoggedAccess access;
};

struct Range {
  uint64_t start, end;
};

int64_t bytes_of(std::vector<Range>& ranges) {
  std::sort(ranges.begin(), ranges.end(), [](auto& a, auto& b) { return a.start < b.start; });
  uint64_t total = 0, covered = 0;
  for (const Range& r : ranges) {
    const uint64_t start = std::max(r.start, covered);
    if (r.end > start) total += r.end - start;
    covered = std::max(covered, r.end);
  }
  return static_cast<int64_t>(total);
}

int64_t sectors_of(const Lane* begin, const Lane* end) {
  std::vector<uint64_t> sectors;
  for (const Lane* l = begin; l != end; ++l) {
    for (uint64_t s = l->access.address / kSector;
         s <= (l->access.address + l->access.bytes - 1) / kSector; ++s) {
      sectors.push_back(s);
    }
  }
  std::sort(sectors.begin(), sectors.end());
  return std::unique(sectors.begin(), sectors.end()) - sectors.begin();
}

// Lanes go through the banks together as long as they ask for no more than 128 bytes: all 32 of
// them by 4 bytes, 16 by 8, 8 by 16. In each pass a bank gives one word.
void count_shared(Counts& counts, const Lane* begin, const Lane* end) {
  const auto bytes = std::max<uint64_t>(begin->access.bytes, kBankBytes);
  const auto together = static_cast<unsigned>(kBanks * kBankBytes / bytes);
  int64_t passes = 0, least = 0;
  for (const Lane* l = begin; l != end;) {
    const unsigned group = l->lane / together;
    std::vector<uint64_t> words;
    for (; l != end && l->lane / together == group; ++l) {
      for (uint64_t w = 0; w < bytes; w += kBankBytes) {
        words.push_back((l->access.address + w) / kBankBytes);
      }
    }
    std::sort(words.begin(), words.end());
    words.erase(std::unique(words.begin(), words.end()), words.end());
    int64_t in_bank[kBanks] = {};
    for (const uint64_t w : words) ++in_bank[w % kBanks];
    passes += *std::max_element(in_bank, in_bank + kBanks);
    ++least;
  }
  ++counts.shared_requests;
  counts.shared_passes += passes;
  counts.least_passes += least;
}

// The sectors of the launch that is being counted, and whether several blocks touch them.
std::unordered_map<uint64_t, bool>& sectors_of_launch() {
  static std::unordered_map<uint64_t, bool> sectors;
  return sectors;
}

// Adds the sectors that a block reads (or writes; `kind` tells these apart).
void count_touched(Counts& counts, const std::vector<Range>& ranges, uint64_t kind) {
  std::unordered_set<uint64_t> own;
  for (const Range& r : ranges)
    for (uint64_t s = r.start / kSector; s <= (r.end - 1) / kSector; ++s) own.insert(2 * s + kind);
  counts.block_sectors += static_cast<int64_t>(own.size());
  for (const uint64_t sector : own) {
    const auto [known, is_new] = sectors_of_launch().try_emplace(sector, false);
    if (is_new) {
      ++counts.own_sectors;
    } else if (!known->second) {
      known->second = true;
      --counts.own_sectors;
      ++counts.common_sectors;
    }
  }
}

uint64_t& sample_of_case() {
  static uint64_t blocks = 8;
  return blocks;
}

std::string& current_part() {
  static std::string part;
  return part;
}

std::vector<Counts>& all_counts() {
  static std::vector<Counts> all;
  return all;
}

void write_counts(const char* path) {
  FILE* file = fopen(path, "w");
  if (file == nullptr) {
    perror(path);
    return;
  }
  for (const Counts& c : all_counts()) {
    fprintf(file,
            "{\"case\":\"%s\",\"op\":\"%s\",\"kernel\":\"%s\",\"launches\":%ld,\"blocks\":%ld,"
            "\"counted_blocks\":%ld,\"threads\":%ld,\"global_requests\":%ld,"
            "\"global_sectors\":%ld,\"coalesced_sectors\":%ld,\"least_sectors\":%ld,"
            "\"block_sectors\":%ld,\"own_sectors\":%ld,\"common_sectors\":%ld,"
            "\"shared_bytes\":%ld,"
            "\"shared_requests\":%ld,\"shared_passes\":%ld,\"least_passes\":%ld,"
            "\"worst_site\":\"0x%lx\",\"worst_site_excess\":%ld}\n",
            c.part.c_str(), c.op.c_str(), c.kernel.c_str(), c.launches, c.blocks, c.counted_blocks,
            c.threads, c.global_requests, c.global_sectors, c.coalesced_sectors, c.least_sectors,
            c.block_sectors, c.own_sectors, c.common_sectors, c.shared_bytes, c.shared_requests,
            c.shared_passes, c.least_passes, c.worst_site, c.worst_site_excess);
  }
  fclose(file);
}

const char* count_file() {
  static const char* const path = getenv("NIBBLE_EMULATE_COUNT");
  return path;
}

std::string demangled(const std::string& name) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(
      abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status), free);
  return status == 0 ? text.get() : name;
}

}  // namespace

void begin_case(const std::string& name, uint64_t sample) {
  current_part() = name;
  sample_of_case() = sample;
}

bool counting() {
  return count_file() != nullptr;
}

uint64_t sampled_blocks() {
  static const char* const text = getenv("NIBBLE_EMULATE_SAMPLE");
  return text == nullptr ? sample_of_case() : std::max(1ul, strtoul(text, nullptr, 10));
}

std::vector<uint64_t> choose_sample(uint64_t count, uint64_t width, uint64_t random) {
  std::vector<uint64_t> chosen;
  const uint64_t most = std::min(count, sampled_blocks());
  const auto add = [&](uint64_t block) {
    if (chosen.size() < most && std::find(chosen.begin(), chosen.end(), block) == chosen.end()) {
      chosen.push_back(block);
    }
  };
  const auto draw = [&](uint64_t below) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    return (random >> 32) % below;
  };
  // A large sample is made of neighbours.
  const uint64_t run = most >= 2 * kNeighbours ? kNeighbours : 1;
  const auto add_run = [&](uint64_t number) {
    for (uint64_t i = 0; i < run && number * run + i < count; ++i) add(number * run + i);
  };
  add_run(0);
  add_run((count - 1) / run);
  if (run == 1 && width > 1 && count > width) {
    for (uint64_t i = 1; i < width && chosen.size() < most / 2 + 1; ++i) {
      if (i * (width + 1) < count) add(i * (width + 1));
    }
  }
  while (chosen.size() < most) add_run(draw((count + run - 1) / run));
  return chosen;
}

void begin_launch(Counts& counts) {
  ++counts.launches;
  sectors_of_launch().clear();
}

void count_block(Counts& counts, const std::vector<std::vector<LoggedAccess>>& threads) {
  ++counts.counted_blocks;
  std::vector<Range> read, written;
  std::unordered_map<uint64_t, int64_t> excess;
  for (size_t first = 0; first < threads.size(); first += kWarp) {
    std::vector<Lane> lanes;
    for (size_t t = first; t < std::min(first + kWarp, threads.size()); ++t) {
      std::unordered_map<uint64_t, uint64_t> rounds;
      for (const LoggedAccess& a : threads[t]) {
        lanes.push_back({a.site, rounds[a.site]++, static_cast<unsigned>(t - first), a});
        if (a.space != Space::kGlobal) continue;
        (a.write ? written : read).push_back({a.address, a.address + a.bytes});
      }
    }
    std::sort(lanes.begin(), lanes.end(), [](const Lane& a, const Lane& b) {
      return std::tie(a.site, a.round, a.lane) < std::tie(b.site, b.round, b.lane);
    });
    for (const Lane *l = lanes.data(), *end = l + lanes.size(); l != end;) {
      const Lane* next = l;
      std::vector<Range> ranges;
      for (; next != end && next->site == l->site && next->round == l->round; ++next) {
        ranges.push_back({next->access.address, next->access.address + next->access.bytes});
      }
      if (l->access.space == Space::kShared) {
        const int64_t before = counts.shared_passes - counts.least_passes;
        count_shared(counts, l, next);
        excess[l->site] += counts.shared_passes - counts.least_passes - before;
      } else {
        ++counts.global_requests;
        counts.global_sectors += sectors_of(l, next);
        counts.coalesced_sectors +=
            (bytes_of(ranges) + static_cast<int64_t>(kSector) - 1) / static_cast<int64_t>(kSector);
      }
      l = next;
    }
  }
  for (auto* ranges : {&read, &written}) {
    counts.least_sectors +=
        (bytes_of(*ranges) + static_cast<int64_t>(kSector) - 1) / static_cast<int64_t>(kSector);
    count_touched(counts, *ranges, ranges == &written);
  }
  for (const auto& [site, passes] : excess) {
    if (passes > counts.worst_site_excess) {
      counts.worst_site_excess = passes;
      counts.worst_site = site - program_base();
    }
  }
}

Counts& counts_of(const void* kernel, const char* op) {
  struct Writer {
    ~Writer() {
      if (count_file() != nullptr) write_counts(count_file());
    }
  };
  static std::map<std::tuple<const void*, std::string, std::string>, size_t> places;
  auto& all = all_counts();
  static const Writer writer;
  const auto [it, is_new] = places.emplace(std::tuple(kernel, op, current_part()), all.size());
  if (is_new) {
    all.push_back({.part = current_part(), .op = op, .kernel = demangled(function_name(kernel))});
  }
  return all[it->second];
}

}  // namespace nibble::emulate
