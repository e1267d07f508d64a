// SPDX-License-Identifier: Apache-2.0
// ROUGE (Lin, 2004) as rouge-score 0.1.2 computes it: n-grams, longest common subsequence, and that
// of whole summaries, of which lines are the sentences. Words are runs of a to z and 0 to 9 in
// lower case, those above three letters stemmed where asked. Of several references, the one with
// the best F counts, for each kind by itself.
#include <algorithm>
#include <array>

#include "base/error.h"
#include "score/lcs.h"
#include "score/metric.h"
#include "score/ngrams.h"
#include "score/porter.h"
#include "score/words.h"

namespace nibble {
namespace {

struct Rouge {
  double precision = 0.0, recall = 0.0, f = 0.0;
};

Rouge rouge_of(double matches, double hypothesis, double reference) {
  Rouge r{.precision = matches / hypothesis, .recall = matches / reference};
  if (r.precision + r.recall > 0.0) r.f = 2.0 * r.precision * r.recall / (r.precision + r.recall);
  return r;
}

// The letter or digit that a character is in lower case: ASCII's, and the Kelvin sign and dotted
// capital I, of which the lower case begins with one. 0: none.
char letter_of(std::string_view text, size_t at, size_t size) {
  const char c = text[at];
  if (size == 1) {
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) return c;
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : '\0';
  }
  const std::string_view character = text.substr(at, size);
  return character == "\u212A" ? 'k' : character == "\u0130" ? 'i' : '\0';
}

struct Text {
  std::vector<int32_t> words;
  std::vector<size_t> lines;  // where each begins among the words, and the end; lines that are
                              // empty texts are left out

  std::span<const int32_t> line(size_t i) const {
    return std::span(words).subspan(lines[i], lines[i + 1] - lines[i]);
  }
  size_t line_count() const { return lines.size() - 1; }
};

struct Scratch {
  WordIds words;
  PairIds pairs;
  Clip clip;
  std::string letters;
  std::vector<std::string> stems;
  Text hypothesis, reference;
  Ngrams own, theirs;
  LcsReference lcs;
  std::vector<char> marks;
  std::vector<int32_t> left, left_own;
};

class RougeMetric : public MeanMetric {
 public:
  RougeMetric(std::vector<std::string> kinds, bool stem) : kinds_(std::move(kinds)), stem_(stem) {
    for (const std::string& kind : kinds_)
      if (kind.size() == 1 && kind[0] >= '1' && kind[0] <= '9')
        most_ = std::max(most_, kind[0] - '0');
  }

  std::vector<ScoreName> scores() const override {
    std::vector<ScoreName> names;
    for (const std::string& kind : kinds_) {
      names.push_back({.name = cat("rouge", kind)});
      for (const char* side : {"_precision", "_recall"})
        names.push_back({.name = cat("rouge", kind, side), .detail = true});
    }
    return names;
  }

  void measure(const ScoreExample& example, std::span<double> row) const override {
    thread_local Scratch s;
    s.words.clear();
    s.pairs.clear();
    // Words live here as long as their numbers: as many letters as bytes at most.
    size_t bytes = example.hypothesis.size();
    for (const std::string& reference : example.references) bytes += reference.size();
    s.letters.clear();
    s.letters.reserve(bytes);
    read(example.hypothesis, s, s.hypothesis);
    s.own.read(s.pairs, s.hypothesis.words, most_);
    std::vector<Rouge> best(kinds_.size());
    bool first = true;
    for (const std::string& reference : example.references) {
      read(reference, s, s.reference);
      s.theirs.read(s.pairs, s.reference.words, most_);
      s.clip.clear();
      s.clip.add(s.theirs.all(), s.pairs.size());
      for (size_t k = 0; k < kinds_.size(); ++k) {
        const Rouge r = score(kinds_[k], s);
        if (first || r.f > best[k].f) best[k] = r;
      }
      first = false;
    }
    for (size_t k = 0; k < kinds_.size(); ++k) {
      row[3 * k] = best[k].f;
      row[3 * k + 1] = best[k].precision;
      row[3 * k + 2] = best[k].recall;
    }
  }

 private:
  int32_t word_id(size_t begin, Scratch& s) const {
    const std::string_view word = std::string_view(s.letters).substr(begin);
    const int32_t id = s.words.find(word);
    if (id < 0) return s.words.add(word);
    s.letters.resize(begin);
    return id;
  }

  void read(std::string_view text, Scratch& s, Text& out) const {
    out.words.clear();
    out.lines.assign(1, 0);
    size_t begin = s.letters.size(), line = 0;
    const auto end_word = [&] {
      if (s.letters.size() == begin) return;
      if (stem_ && s.letters.size() - begin > 3) {
        const std::string stem = porter_stem(std::string_view(s.letters).substr(begin));
        s.letters.resize(begin);
        s.letters += stem;  // never longer than the word
      }
      out.words.push_back(word_id(begin, s));
      begin = s.letters.size();
    };
    const auto end_line = [&](size_t at) {
      end_word();
      if (at > line) out.lines.push_back(out.words.size());
      line = at + 1;
    };
    for (size_t at = 0; at < text.size();) {
      const auto size = static_cast<size_t>(read_utf8(text, at).size);
      const char letter = letter_of(text, at, size);
      if (letter != '\0') s.letters += letter;
      // What follows the i of a dotted capital I is a mark, which ends the word.
      if (letter == '\0' || (size == 2 && letter == 'i')) end_word();
      if (text[at] == '\n') end_line(at);
      at += size;
    }
    end_line(text.size());
  }

  Rouge score(const std::string& kind, Scratch& s) const {
    const auto own = static_cast<double>(s.hypothesis.words.size());
    const auto theirs = static_cast<double>(s.reference.words.size());
    if (kind == "L") {
      if (own == 0.0 || theirs == 0.0) return {};
      s.lcs.set(s.reference.words, s.words.size());
      return rouge_of(static_cast<double>(s.lcs.length(s.hypothesis.words)), own, theirs);
    }
    if (kind == "Lsum") {
      if (own == 0.0 || theirs == 0.0) return {};
      return rouge_of(union_matches(s), own, theirs);
    }
    const int n = kind[0] - '0';
    const auto matches = static_cast<double>(s.clip.match(s.own.order(n)));
    return rouge_of(matches, std::max(1.0, static_cast<double>(s.own.order(n).size())),
                    std::max(1.0, static_cast<double>(s.theirs.order(n).size())));
  }

  // Reference words in the union of each reference line's common subsequences with every line of
  // the hypothesis, none counted more often than either side has it.
  static double union_matches(Scratch& s) {
    const auto words = static_cast<size_t>(s.words.size());
    s.left.assign(words, 0);
    s.left_own.assign(words, 0);
    for (const int32_t w : s.reference.words) ++s.left[static_cast<size_t>(w)];
    for (const int32_t w : s.hypothesis.words) ++s.left_own[static_cast<size_t>(w)];
    double hits = 0.0;
    for (size_t r = 0; r < s.reference.line_count(); ++r) {
      const auto line = s.reference.line(r);
      if (line.empty()) continue;
      s.lcs.set(line, s.words.size());
      s.marks.assign(line.size(), 0);
      for (size_t h = 0; h < s.hypothesis.line_count(); ++h)
        s.lcs.mark(s.hypothesis.line(h), s.marks);
      for (size_t i = 0; i < line.size(); ++i) {
        const auto word = static_cast<size_t>(line[i]);
        if (!s.marks[i] || s.left[word] == 0 || s.left_own[word] == 0) continue;
        hits += 1.0;
        --s.left[word];
        --s.left_own[word];
      }
    }
    return hits;
  }

  std::vector<std::string> kinds_;
  bool stem_;
  int most_ = 0;  // longest n-gram
};

std::unique_ptr<Metric> make(const MetricOptions& options) {
  std::vector<std::string> kinds;
  std::string_view rest = options.text("types");
  while (true) {
    const size_t at = rest.find('/');
    const std::string_view kind = rest.substr(0, at);
    const bool digit = kind.size() == 1 && kind[0] >= '1' && kind[0] <= '9';
    if (!digit && kind != "L" && kind != "Lsum")
      options.fail("types", cat("\"", kind, "\" is none of 1 to 9, L and Lsum"));
    if (std::ranges::count(kinds, kind)) options.fail("types", cat("\"", kind, "\" stands twice"));
    kinds.emplace_back(kind);
    if (at == rest.npos) break;
    rest.remove_prefix(at + 1);
  }
  return std::make_unique<RougeMetric>(std::move(kinds), options.flag("stem"));
}

}  // namespace

extern const MetricKind kRougeMetric;
const MetricKind kRougeMetric = {
    .name = "rouge",
    .help = "ROUGE, means of F over examples, as rouge-score",
    .options = {{"types", "1/2/L/Lsum", "which: 1 to 9 (n-grams), L, Lsum"},
                {"stem", "no", "whether words are stemmed (Porter)", kYesNo}},
    .make = make,
};

}  // namespace nibble
