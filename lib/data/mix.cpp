// SPDX-License-Identifier: Apache-2.0
#include "data/mix.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/error.h"
#include "base/profile.h"
#include "base/rng.h"
#include "data/members.h"

namespace nibble {
namespace {

// A file's records, one after another, with the next one at hand.
class Stream {
 public:
  Stream(const MixSource& source, uint64_t seed, uint64_t number, BadRecords& bad)
      : source_(source), bad_(bad), rng_(seed, number) {
    counts_.records = source.records;
    open();
  }

  bool empty() const { return !ready_; }
  std::string_view line() const { return line_; }
  const MixCounts& counts() const { return counts_; }
  bool quota_met() const { return source_.quota && counts_.taken >= *source_.quota; }

  /// Goes on to the next record; true where the file ended, and began again if `again`.
  bool advance(bool again) {
    ++counts_.taken;
    if (read()) return false;
    ++counts_.epochs;
    if (!source_.quota) counts_.records = seen_;
    if (again) {
      require_rereadable(source_.path);
      open();
    }
    return true;
  }

 private:
  void open() {
    reader_ = std::make_unique<RecordReader>(source_.path);
    seen_ = 0;
    // The last epoch of a quota may want some of the records only.
    wanted_ = source_.quota ? std::min(*source_.records, *source_.quota - counts_.taken) : -1;
    read();
  }

  bool read() {
    ready_ = false;
    Record record;
    while (!ready_ && reader_->next(record)) {
      try {
        parse_object(record.text);
      } catch (const DataError& e) {
        if (counts_.epochs > 0) continue;  // it has been told
        bad_.add(cat(place_of(record), ": ", e.what()));
        continue;
      }
      ready_ = is_wanted();
      ++seen_;
      if (ready_) line_ = record_line(record.text, scratch_);
    }
    return ready_;
  }

  // Selection sampling (Knuth, volume 2, algorithm 3.4.2 S): exactly as many as are wanted of the
  // file's records, each with the same chance.
  bool is_wanted() {
    if (wanted_ < 0) return true;
    const int64_t left = *source_.records - seen_;
    if (left <= 0 || static_cast<int64_t>(rng_.below(static_cast<uint64_t>(left))) >= wanted_)
      return false;
    --wanted_;
    return true;
  }

  const MixSource& source_;
  BadRecords& bad_;
  Rng rng_;
  MixCounts counts_;
  std::unique_ptr<RecordReader> reader_;
  bool ready_ = false;
  int64_t seen_ = 0, wanted_ = -1;
  std::string line_, scratch_;
};

}  // namespace

std::vector<MixCounts> mix(const std::vector<MixSource>& sources, MixStop stop, int64_t limit,
                           uint64_t seed, BadRecords& bad,
                           const std::function<void(std::string_view)>& use) {
  std::vector<double> shares;
  std::vector<std::unique_ptr<Stream>> streams;
  for (const MixSource& source : sources) {
    shares.push_back(source.share);
    streams.push_back(std::make_unique<Stream>(source, seed, 1 + streams.size(), bad));
  }
  Span span("draw");
  Dealer dealer(shares, seed, 0);
  size_t open = 0, unfinished = 0;
  for (size_t i = 0; i < streams.size(); ++i) {
    const bool given = !streams[i]->empty() && !streams[i]->quota_met() && shares[i] > 0;
    if (given)
      ++open, ++unfinished;
    else
      dealer.close(i);
  }
  for (int64_t n = 0; n < limit && open > 0; ++n) {
    const size_t i = dealer.next();
    Stream& stream = *streams[i];
    use(stream.line());
    span.add(0.0, static_cast<double>(stream.line().size()));
    const bool by_quota = sources[i].quota.has_value();
    const bool ended = stream.advance(by_quota || stop == MixStop::kAllExhausted);
    if (by_quota ? stream.quota_met() : ended && stop == MixStop::kAllExhaustedWithoutReplacement) {
      dealer.close(i);
      --open;
    } else if (ended && !by_quota) {
      if (stop == MixStop::kFirstExhausted) break;
      if (stream.counts().epochs == 1 && --unfinished == 0) break;
    }
  }
  std::vector<MixCounts> counts;
  for (const auto& stream : streams) counts.push_back(stream->counts());
  return counts;
}

double temperature_share(int64_t records, double temperature) {
  return std::pow(static_cast<double>(records), 1 / temperature);
}

void require_rereadable(const std::string& path) {
  std::error_code error;
  if (path != "-" && (!fs::exists(path, error) || fs::is_regular_file(path, error))) return;
  throw UsageError(cat(path == "-" ? "(standard input)" : path,
                       ": would be read more than once; give a file, or --weights with "
                       "--stop=first_exhausted"));
}

int64_t count_records(const std::string& path, int64_t allowed_bad) {
  require_rereadable(path);
  int64_t count = 0;
  BadRecords bad(allowed_bad, [](const std::string&) {});
  map_records<char>(
      {path}, bad, [](const Record& record, char&) { parse_object(record.text); },
      [&](const Record&, char) { ++count; });
  return count;
}

}  // namespace nibble
