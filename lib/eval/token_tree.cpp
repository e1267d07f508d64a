// SPDX-License-Identifier: Apache-2.0
#include "eval/token_tree.h"

#include <algorithm>
#include <tuple>

#include "base/common_prefix.h"
#include "base/error.h"

namespace nibble {
namespace {

std::span<const int32_t> inputs(const ScoredIds& s) {
  return std::span(s.ids).first(s.ids.size() - 1);
}

// Tokens [begin, end) of the sequences below are rows from `row` of the batch.
struct Part {
  int64_t begin = 0, end = 0, row = 0;
  int32_t number = -1;  // of the batch's sequence
};

class Builder {
 public:
  Builder(std::span<const ScoredIds* const> sequences, Batch& batch, std::vector<Prediction>& out)
      : sequences_(sequences), batch_(batch), out_(out) {
    for (size_t i = 0; i < sequences.size(); ++i) order_.push_back(static_cast<int32_t>(i));
    std::sort(order_.begin(), order_.end(), [&](int32_t a, int32_t b) {
      return std::ranges::lexicographical_compare(at(a), at(b));
    });
  }

  // Sequences [begin, end) of the order begin alike for `depth` tokens, which the path has, and for
  // `same` tokens at least.
  void build(size_t begin, size_t end, int64_t depth, int64_t same) {
    const auto first = at(order_[begin]), last = at(order_[end - 1]);
    const auto shared = same + common_length(first.subspan(static_cast<size_t>(same)),
                                             last.subspan(static_cast<size_t>(same)));
    const auto length = static_cast<int64_t>(first.size());  // the shortest comes first
    const bool alike = static_cast<int64_t>(last.size()) == shared && length == shared;
    const bool pushed = shared > depth && (alike || shared - depth >= kShortestShared);
    if (pushed) push(first, depth, shared);
    const int64_t reached = pushed ? shared : depth;
    if (alike) {
      for (size_t i = begin; i < end; ++i) predict(order_[i]);
    } else {
      for (size_t i = begin; i < end;) {
        size_t next = i + 1;
        while (next < end && same_branch(order_[i], order_[next], shared)) ++next;
        build(i, next, reached, branch_length(order_[i], shared));
        i = next;
      }
    }
    if (pushed) path_.pop_back();
  }

  void finish() {
    std::sort(out_.begin(), out_.end(), [](const Prediction& a, const Prediction& b) {
      return std::tie(a.row, a.sequence, a.token) < std::tie(b.row, b.sequence, b.token);
    });
    for (Prediction& p : out_) {
      if (batch_.rows.empty() || batch_.rows.back() != p.row) {
        batch_.rows.push_back(p.row);
        batch_.targets.push_back(sequence(p.sequence).ids[static_cast<size_t>(p.token)]);
      }
      p.row = static_cast<int32_t>(batch_.rows.size()) - 1;
    }
  }

 private:
  const ScoredIds& sequence(int32_t i) const { return *sequences_[static_cast<size_t>(i)]; }
  std::span<const int32_t> at(int32_t i) const { return inputs(sequence(i)); }

  // One that ends where the others go on is a branch of its own.
  bool same_branch(int32_t a, int32_t b, int64_t shared) const {
    const auto x = at(a), y = at(b);
    const auto n = static_cast<size_t>(shared);
    if (x.size() == n || y.size() == n) return x.size() == y.size();
    return x[n] == y[n];
  }
  int64_t branch_length(int32_t a, int64_t shared) const {
    return std::min(shared + 1, static_cast<int64_t>(at(a).size()));
  }

  void push(std::span<const int32_t> ids, int64_t begin, int64_t end) {
    const int64_t row = batch_.tokens();
    const int32_t number = batch_.append_after(
        path_.empty() ? -1 : path_.back().number,
        ids.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)));
    path_.push_back({begin, end, row, number});
  }

  void predict(int32_t index) {
    const ScoredIds& s = sequence(index);
    auto part = path_.begin();
    const auto size = static_cast<int64_t>(s.ids.size());
    for (int64_t token = s.first; token < size; ++token) {
      while (part->end < token) ++part;  // it is predicted from the token before it
      out_.push_back({.row = static_cast<int32_t>(part->row + token - 1 - part->begin),
                      .sequence = index,
                      .token = static_cast<int32_t>(token)});
    }
  }

  std::span<const ScoredIds* const> sequences_;
  Batch& batch_;
  std::vector<Prediction>& out_;
  std::vector<int32_t> order_;
  std::vector<Part> path_;
};

}  // namespace

int64_t common_length(std::span<const int32_t> a, std::span<const int32_t> b) {
  return static_cast<int64_t>(common_prefix(a, b));
}

int64_t added_tokens(const ScoredIds& sequence, const ScoredIds* before) {
  const auto own = inputs(sequence);
  const auto size = static_cast<int64_t>(own.size());
  if (!before) return size;
  const int64_t shared = common_length(own, inputs(*before));
  if (shared == size && before->ids.size() == sequence.ids.size()) return 0;
  // The tree shares all of that, or lacks fewer than kShortestShared tokens.
  return size - std::max<int64_t>(0, shared - kShortestShared + 1);
}

void make_tree(std::span<const ScoredIds* const> sequences, Batch& batch,
               std::vector<Prediction>& predictions) {
  batch.clear();
  predictions.clear();
  if (sequences.empty()) return;
  for (const ScoredIds* s : sequences)
    CHECK(s->first >= 1 && s->first < static_cast<int64_t>(s->ids.size()));
  Builder builder(sequences, batch, predictions);
  builder.build(0, sequences.size(), 0, 0);
  builder.finish();
}

}  // namespace nibble
