// SPDX-License-Identifier: Apache-2.0
#include "eval/measure.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "data/form_detector.h"
#include "data/records.h"
#include "data/segments.h"
#include "data/tokenize.h"
#include "io/lines.h"
#include "text/unicode.h"

namespace nibble {
namespace {

struct Extent {
  int64_t words = 0, bytes = 0;
  void add(std::string_view text) {
    bytes += std::ssize(text);
    bool inside = false;
    for (const char c : text) {
      const bool space = c == ' ' || (c >= '\t' && c <= '\r');
      words += inside && space;
      inside = !space;
    }
    words += inside;
  }
};

// Null where it is too large for a number: a long text without a space is one word.
Json finite(double value) {
  return std::isfinite(value) ? Json(value) : Json();
}

Json report_of(const Session& session, const Perplexity& p) {
  if (!std::isfinite(p.nll))
    throw DataError(cat(session.model.store->path().string(), ": the loss is not finite; ",
                        "look for NaN with nibble-inspect --stats"));
  return Json::object(
      {{"tokens", p.tokens}, {"loss", p.loss()}, {"perplexity", finite(p.perplexity())}});
}

void add_extent(Json& report, const Perplexity& p, const Extent& e,
                const PerplexityOptions& options) {
  const auto words = static_cast<double>(e.words), bytes = static_cast<double>(e.bytes);
  report.set("words", e.words);
  report.set("bytes", e.bytes);
  report.set("bits_per_byte", finite(p.nll / std::log(2.0) / bytes));
  report.set("byte_perplexity", finite(std::exp(p.nll / bytes)));
  report.set("word_perplexity", finite(std::exp(p.nll / words)));
  report.set("length", options.context);
  report.set("stride", options.stride);
}

// A line for every scored token, with the row's number where there are rows.
class ScoreLog {
 public:
  ScoreLog(const std::string& path, std::span<const TokenRow> rows, bool numbered)
      : rows_(rows), numbered_(numbered) {
    if (!path.empty()) out_.emplace(path);
  }
  RowScore callback() {
    if (!out_) return {};
    return [this](size_t row, int64_t position, float value) {
      Json line = Json::object();
      if (numbered_) line.set("row", static_cast<int64_t>(row));
      line.set("position", position);
      line.set("id", static_cast<int64_t>(rows_[row].tokens[static_cast<size_t>(position)]));
      line.set("logprob", value);
      out_->line(line.dump());
    };
  }
  void commit() {
    if (out_) out_->commit();
  }

 private:
  std::span<const TokenRow> rows_;
  bool numbered_;
  std::optional<LineWriter> out_;
};

std::string read_all(const std::string& path) {
  if (path != "-" && !path.ends_with(".zst")) return read_text_file(path);
  LineReader reader(path);
  std::string text;
  for (std::string_view line; reader.next(line);) text += cat(line, "\n");
  return text;
}

void check_text(const std::string& text, const std::string& place) {
  if (is_utf8(text)) return;
  int64_t line = 0;
  size_t begin = 0, end = 0;
  do {
    ++line;
    begin = end;
    end = std::min(text.find('\n', begin), text.size() - 1) + 1;
  } while (is_utf8(std::string_view(text).substr(begin, end - begin)));
  throw DataError(
      cat(place, ":", line, ": not UTF-8; convert it, as with iconv -f latin1 -t utf8"));
}

struct Made {
  TokenRow row;
  Extent extent;  // of what is trained on
};

}  // namespace

Json measure_text(const Session& session, const std::string& path, const std::string& log,
                  const PerplexityOptions& options) {
  const std::string text = read_all(path);
  check_text(text, path);
  TokenRow row;
  row.tokens = session.tokenizer->encode(text, SpecialText::kLiteral);
  if (session.tokenizer->add_bos && session.tokenizer->bos)
    row.tokens.insert(row.tokens.begin(), *session.tokenizer->bos);
  if (row.tokens.size() < 2)
    throw DataError(cat(path, ": fewer than two tokens; give a longer text"));
  row.trained.assign(row.tokens.size(), 1);
  ScoreLog scores(log, {&row, 1}, false);
  const Perplexity p = rows_perplexity(session.model, {&row, 1}, options, scores.callback());
  Json report = report_of(session, p);
  Extent extent;
  extent.add(text);
  add_extent(report, p, extent, options);
  scores.commit();
  return report;
}

Json measure_conversations(const Session& session, const ConversationOptions& what,
                           const std::string& log, const PerplexityOptions& options) {
  SegmentRules rules = rules_for_template(what.template_name, what.model);
  rules.train_on = parse_train_on(what.train_on);
  const Tokenizer& tokenizer = *session.tokenizer;
  const TokenizeRules tokens = {.bos = tokenizer.add_bos, .eos = tokenizer.add_eos};
  const FieldNames& names = own_names();
  BadRecords bad(0, {});
  FormDetector form(nullptr);
  std::vector<TokenRow> rows;
  Extent extent;
  map_records<Made>(
      {what.data}, bad,
      [&](const Record& record, Made& made) {
        const Fields fields(parse_record(record.text), names);
        Conversation conversation;
        read_conversation(form.form_of(fields), fields, conversation);
        const SegmentedExample example = to_example(rules, conversation);
        made = {};
        tokenize_example(tokenizer, tokens, {.segments = example.segments}, made.row);
        for (const Segment& s : example.segments)
          if (s.label) made.extent.add(s.text);
      },
      [&](const Record&, Made& made) {
        extent.words += made.extent.words;
        extent.bytes += made.extent.bytes;
        rows.push_back(std::move(made.row));
      },
      [&](std::span<const Record> records) { form.begin_file(records, names); },
      RecordForm::kExamples);
  ScoreLog scores(log, rows, true);
  const Perplexity p = rows_perplexity(session.model, rows, options, scores.callback());
  if (p.tokens == 0) throw DataError(cat(what.data, ": no token is trained on; see --train-on"));
  Json report = report_of(session, p);
  report.set("conversations", std::ssize(rows));
  add_extent(report, p, extent, options);
  scores.commit();
  return report;
}

Json measure_shard(const Session& session, const std::string& path,
                   const PerplexityOptions& options) {
  ShardReader shard(path);
  expect_examples(shard);
  if (shard.info().tokenizer != session.tokenizer->fingerprint)
    throw DataError(cat(path, ": made with another tokenizer than the model's",
                        "; tokenize and pack with --model of this model"));
  return report_of(session, shard_perplexity(session.model, shard, options));
}

}  // namespace nibble
