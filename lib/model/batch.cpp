// SPDX-License-Identifier: Apache-2.0
#include "model/batch.h"

#include <algorithm>

#include "base/error.h"

namespace nibble {

void Batch::clear() {
  for (auto* v : {&ids, &positions, &starts, &parents, &rows, &targets, &lengths}) v->clear();
  longest = 0;
}

void Batch::append(std::span<const int32_t> tokens, std::span<const uint8_t> trained) {
  CHECK(trained.empty() || trained.size() == tokens.size());
  if (tokens.empty()) return;
  if (starts.empty()) starts.push_back(0);
  const auto base = static_cast<int32_t>(ids.size());
  for (size_t i = 0; i < tokens.size(); ++i) {
    ids.push_back(tokens[i]);
    positions.push_back(static_cast<int32_t>(i));
    if (i == 0 || (!trained.empty() && !trained[i])) continue;
    rows.push_back(base + static_cast<int32_t>(i) - 1);
    targets.push_back(tokens[i]);
  }
  starts.push_back(static_cast<int32_t>(ids.size()));
  longest = std::max(longest, static_cast<int64_t>(tokens.size()));
}

int32_t Batch::append_after(int32_t parent, std::span<const int32_t> tokens) {
  const auto number = static_cast<int32_t>(parents.size());
  CHECK(!tokens.empty() && parent >= -1 && parent < number);
  if (starts.empty()) starts.push_back(0);
  CHECK(sequences() == number);
  const auto last = parent < 0 ? 0 : static_cast<size_t>(starts[static_cast<size_t>(parent) + 1]);
  const int32_t first = parent < 0 ? 0 : positions[last - 1] + 1;
  for (size_t i = 0; i < tokens.size(); ++i) {
    ids.push_back(tokens[i]);
    positions.push_back(first + static_cast<int32_t>(i));
  }
  starts.push_back(static_cast<int32_t>(ids.size()));
  parents.push_back(parent);
  longest = std::max(longest, static_cast<int64_t>(positions.back()) + 1);
  return number;
}

void Batch::append(const PackedRow& row) {
  const size_t sequences = row.starts.size();
  for (size_t s = 0; s < sequences; ++s) {
    const auto begin = static_cast<size_t>(row.starts[s]);
    const size_t end =
        s + 1 < sequences ? static_cast<size_t>(row.starts[s + 1]) : row.tokens.size();
    append(std::span(row.tokens).subspan(begin, end - begin),
           std::span(row.trained).subspan(begin, end - begin));
  }
}

}  // namespace nibble
