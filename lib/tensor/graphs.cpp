// SPDX-License-Identifier: Apache-2.0
#include "tensor/graphs.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/checked.h"
#include "base/notice.h"
#include "tensor/memory.h"

namespace nibble {
namespace {

constexpr size_t kMostKeys = 4 * kMostGraphs;  // remembered
constexpr int64_t kUnused = 64;                // runs, after which a graph is given up for another

}  // namespace

Graphs& Graphs::operator=(Graphs&& other) noexcept {
  std::swap(on_, other.on_);
  std::swap(most_, other.most_);
  std::swap(refusal_, other.refusal_);
  std::swap(runs_, other.runs_);
  std::swap(entries_, other.entries_);
  return *this;
}

Graphs::~Graphs() {
  for (const Entry& e : entries_)
    if (e.graph) cuda::destroy_graph(e.graph);
}

int64_t Graphs::held() const {
  return std::count_if(entries_.begin(), entries_.end(),
                       [](const Entry& e) { return e.graph != nullptr; });
}

bool Graphs::begin(Stream stream) try {
  cuda::begin_capture(stream);
  return true;
} catch (const UnavailableError& error) {
  return refuse(error);
}

bool Graphs::end(Stream stream, Entry& entry) try {
  entry.graph = cuda::end_capture(stream);
  return true;
} catch (const UnavailableError& error) {
  return refuse(error);
}

bool Graphs::refuse(const UnavailableError& error) {
  on_ = false;
  refusal_ = error.what();
  notice(cat("goes on without CUDA graphs: ", refusal_));
  return false;
}

Graphs::Entry& Graphs::find(const Key& key) {
  auto at =
      std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.key == key; });
  if (at == entries_.end()) {
    if (entries_.size() == kMostKeys)
      entries_.erase(std::find_if(entries_.begin(), entries_.end(),
                                  [](const Entry& e) { return e.graph == nullptr; }));
    entries_.push_back({.key = key});
  } else {
    std::rotate(at, at + 1, entries_.end());
  }
  entries_.back().last = ++runs_;
  return entries_.back();
}

bool Graphs::make_room() {
  if (held() < most_) return true;
  const auto oldest = std::find_if(entries_.begin(), entries_.end(),
                                   [](const Entry& e) { return e.graph != nullptr; });
  if (runs_ - oldest->last < kUnused) return false;
  synchronize();  // it may be running
  cuda::destroy_graph(std::exchange(oldest->graph, nullptr));
  return true;
}

int64_t graph_size(int64_t size, int64_t unit) {
  const int64_t units = ceil_div(size, unit);
  const int64_t step =
      units <= 8 ? 1 : static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(units))) / 8;
  return round_up(units, step) * unit;
}

int64_t power_of_two(int64_t size) {
  return static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(size)));
}

}  // namespace nibble
