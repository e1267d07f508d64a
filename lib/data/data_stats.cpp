// SPDX-License-Identifier: Apache-2.0
#include "data/data_stats.h"

#include <algorithm>

#include "base/error.h"

namespace nibble {
namespace {

constexpr std::pair<const char*, double> kQuantiles[] = {
    {"p5", 0.05}, {"p25", 0.25}, {"p50", 0.5}, {"p75", 0.75}, {"p95", 0.95}, {"p99", 0.99}};

double share(int64_t part, int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0;
}

// Bounds by powers of two; the last bin ends above the longest.
Json histogram(const LengthCounts& lengths, int64_t shortest, int64_t longest) {
  Json::Array bins;
  int64_t low = 1;
  while (low * 2 <= shortest) low *= 2;
  if (shortest < 1) low = 0;
  for (; low <= longest; low = std::max<int64_t>(1, low * 2)) {
    const int64_t high = std::max<int64_t>(1, low * 2);
    bins.push_back(
        Json::object({{"from", low}, {"to", high - 1}, {"count", lengths.between(low, high)}}));
  }
  return Json(std::move(bins));
}

}  // namespace

void DataStats::add(const SampleRecord& record) {
  ++records_;
  for (size_t i = 0; i < kScripts; ++i) scripts_[i] += record.scripts[i];
  for (const uint64_t hash : record.hashes) duplicates_.add(hash);
  for (const Sample& sample : record.samples) {
    ++samples_;
    turns_ += sample.turns;
    chosen_ += sample.side == "chosen";
    if (sample.desirable) ++(*sample.desirable ? desirable_ : undesirable_);
    tokens_ |= !sample.ids.empty();
    text_ |= !sample.pieces.empty();
    const int64_t length = sample.length();
    lengths_.add(length);
    trained_ += sample.trained_length();
    if (longest_.length < length) longest_ = {length, record.place};
    if (shortest_.length < 0 || length < shortest_.length) shortest_ = {length, record.place};
    for (const Mistake m : sample.mistakes) {
      Seen& seen = mistakes_[static_cast<size_t>(m)];
      if (seen.count++ == 0) seen.first = record.place;
    }
  }
}

Json DataStats::report(const std::string& path, const SampleFile& file, int64_t bad_records) const {
  Json out = Json::object({{"path", path}, {"kind", data_kind_title(file.kind)}});
  if (!file.form.empty()) out.set("form", file.form);
  if (file.kind == DataKind::kShard) {
    out.set("rows", file.rows);
    out.set("row_length", file.row_length);
    out.set("mode", file.mode);
    out.set("fill", share(lengths_.sum(), file.rows * file.row_length));
  } else {
    out.set("records", records_);
  }
  if (bad_records > 0) out.set("bad_records", bad_records);
  out.set("examples", samples_ - chosen_);  // a pair is one
  if (chosen_ > 0) out.set("pairs", chosen_);
  if (desirable_ + undesirable_ > 0) {
    out.set("desirable", desirable_);
    out.set("undesirable", undesirable_);
  }
  if (turns_ > 0) out.set("turns", turns_);
  const char* unit = tokens_ ? "tokens" : "characters";
  out.set("unit", unit);
  out.set(unit, lengths_.sum());
  out.set("trained", trained_);
  out.set("trained_share", share(trained_, lengths_.sum()));
  out.set("duplicates", duplicates_.count());
  out.set("duplicates_exact", duplicates_.exact());
  if (samples_ > 0) {
    Json quantiles = Json::object({{"min", shortest_.length}});
    for (const auto& [name, q] : kQuantiles) quantiles.set(name, lengths_.quantile(q));
    quantiles.set("max", longest_.length);
    quantiles.set("mean", share(lengths_.sum(), samples_));
    out.set("length", std::move(quantiles));
    out.set("histogram", histogram(lengths_, shortest_.length, longest_.length));
    out.set("longest", Json::object({{"place", longest_.place}, {"length", longest_.length}}));
    out.set("shortest", Json::object({{"place", shortest_.place}, {"length", shortest_.length}}));
  }
  int64_t letters = 0;
  for (const int64_t n : scripts_) letters += n;
  std::vector<std::pair<int64_t, size_t>> order;
  for (size_t i = 0; i < kScripts; ++i)
    if (scripts_[i] > 0) order.emplace_back(-scripts_[i], i);
  std::sort(order.begin(), order.end());
  Json scripts = Json::object();
  for (const auto& [count, i] : order)
    scripts.set(script_name(static_cast<Script>(i)), share(-count, letters));
  if (text_) out.set("scripts", std::move(scripts));
  Json mistakes = Json::object();
  for (size_t i = 0; i < kMistakes; ++i)
    if (mistakes_[i].count > 0)
      mistakes.set(mistake_name(static_cast<Mistake>(i)),
                   Json::object({{"count", mistakes_[i].count}, {"first", mistakes_[i].first}}));
  out.set("warnings", std::move(mistakes));
  return out;
}

Json file_stats(const std::string& path, const SampleRules& rules, BadRecords& bad) {
  DataStats stats;
  const SampleFile file = read_samples(path, rules, bad, [&](const SampleRecord& record) {
    stats.add(record);
    return true;
  });
  return stats.report(path, file, bad.count());
}

}  // namespace nibble
