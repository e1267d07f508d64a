// SPDX-License-Identifier: Apache-2.0
#include "data/sample_reader.h"

#include <fstream>

#include "base/error.h"
#include "data/tokenize.h"
#include "io/nbp.h"
#include "text/unicode.h"

namespace nibble {
namespace {

// Thrown by the consumer's wish to see no more.
struct Enough {};

// FNV-1a, mixed at its end (Appleby's finalizer), so that all bits of it can be cut off.
class Hash {
 public:
  void add(const void* data, size_t bytes) {
    const auto* at = static_cast<const unsigned char*>(data);
    for (size_t i = 0; i < bytes; ++i) state_ = (state_ ^ at[i]) * 0x100000001b3u;
  }
  uint64_t value() const {
    uint64_t h = state_;
    h = (h ^ h >> 33) * 0xff51afd7ed558ccdu;
    h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53u;
    return h ^ h >> 33;
  }

 private:
  uint64_t state_ = 0xcbf29ce484222325u;
};

void count_scripts(std::string_view text, std::array<int64_t, kScripts>& scripts) {
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = read_utf8(text, at);
    at += static_cast<size_t>(c.size);
    if (c.code == kInvalidCode) continue;
    if (const Script script = script_of(c.code); script != Script::kNone)
      ++scripts[static_cast<size_t>(script)];
  }
}

void add_sample(SampleRecord& record, Sample sample) {
  if (sample.length() == 0) return;
  Hash hash;
  for (const Piece& p : sample.pieces) {
    hash.add(p.text.data(), p.text.size());
    if (!p.special) count_scripts(p.text, record.scripts);
  }
  if (sample.pieces.empty()) hash.add(sample.ids.data(), 4 * sample.ids.size());
  record.hashes.push_back(hash.value());
  record.samples.push_back(std::move(sample));
}

Sample sample_of(const SampleRules& rules, const std::vector<Segment>& segments) {
  if (!rules.tokenizer) return sample_of_segments(segments);
  thread_local TokenRow row;
  const Tokenizer& t = *rules.tokenizer;
  tokenize_example(t, {.bos = t.add_bos && t.bos, .eos = t.add_eos && t.eos},
                   {.segments = segments}, row);
  return sample_of_tokens(&t, row.tokens, row.trained, 0);
}

void add_example(SampleRecord& record, const SampleRules& rules, const SegmentedExample& example,
                 int64_t turns, bool system_lost) {
  const bool pair = example.kind() == ExampleKind::kPair;
  for (const auto* side : {&example.segments, &example.rejected}) {
    if (side == &example.rejected && !pair) break;
    Sample sample = sample_of(rules, *side);
    sample.side = !pair ? "" : side == &example.segments ? "chosen" : "rejected";
    sample.desirable = example.desirable;
    sample.turns = turns;
    if (system_lost) sample.mistakes.push_back(Mistake::kSystemLost);
    add_sample(record, std::move(sample));
  }
}

// A conversation as it stands where no template writes it: who speaks, and what.
Sample bare(const TrainOn& train_on, std::vector<Message> messages) {
  SegmentRules rules;
  rules.train_on = train_on;
  Sample sample = {.turns = std::ssize(messages)};
  Conversation marked = {.messages = std::move(messages), .plain = true};
  to_example(rules, marked);  // for the flags
  int64_t trained = 0;
  for (const Message& m : marked.messages) {
    sample.pieces.push_back({false, true, cat(m.role, ": ")});
    std::string text = cat(m.content, m.input.empty() ? "" : "\n", m.input);
    for (const auto& [name, value] : m.fields)
      if (name == "tool_calls") text += value.dump();
    sample.pieces.push_back({*m.train, false, text + "\n"});
    trained += *m.train;
  }
  if (trained == 0) sample.mistakes.push_back(Mistake::kNothingTrained);
  return sample;
}

void add_conversation(SampleRecord& record, const SampleRules& rules, Conversation& conversation) {
  const SegmentRules& segments = rules.format.segments;
  const int64_t turns = std::ssize(conversation.messages);
  if (conversation.plain || segments.chat) {
    ExampleNotes notes;
    const SegmentedExample example = to_example(segments, conversation, &notes);
    add_example(record, rules, example, turns, notes.system_lost);
    return;
  }
  const bool pair = !conversation.rejected.empty();
  std::vector<Message> other(
      conversation.messages.begin(),
      conversation.messages.begin() + static_cast<std::ptrdiff_t>(conversation.answer));
  other.insert(other.end(), conversation.rejected.begin(), conversation.rejected.end());
  for (const bool rejected : {false, true}) {
    if (rejected && !pair) break;
    Sample sample = bare(segments.train_on, rejected ? other : conversation.messages);
    sample.side = !pair ? "" : rejected ? "rejected" : "chosen";
    sample.desirable = conversation.desirable;
    add_sample(record, std::move(sample));
  }
}

void add_row(SampleRecord& record, const SampleRules& rules, const TokenRow& row) {
  const auto cut = row.kind == ExampleKind::kPair ? static_cast<size_t>(row.rejected) : size_t{0};
  const std::span ids(row.tokens);
  const std::span trained(row.trained);
  const auto add = [&](size_t begin, size_t end, std::string_view side) {
    Sample sample = sample_of_tokens(rules.tokenizer.get(), ids.subspan(begin, end - begin),
                                     trained.subspan(begin, end - begin), 0);
    sample.side = side;
    if (row.kind == ExampleKind::kRated) sample.desirable = row.desirable;
    add_sample(record, std::move(sample));
  };
  if (cut > 0) {
    add(0, cut, "chosen");
    add(cut, ids.size(), "rejected");
  } else {
    add(0, ids.size(), "");
  }
}

SampleFile read_shard(const std::string& path, const SampleRules& rules,
                      const std::function<bool(const SampleRecord&)>& use) {
  ShardReader shard(path);
  const ShardInfo& info = shard.info();
  if (rules.tokenizer && rules.tokenizer->fingerprint != info.tokenizer)
    throw DataError(cat(path,
                        ": made with another tokenizer than the model's; give --model of the ",
                        "model it was packed for"));
  SampleFile file = {.kind = DataKind::kShard,
                     .rows = info.rows,
                     .row_length = info.row_length,
                     .mode = info.mode};
  PackedRow row;
  for (int64_t r = 0; r < info.rows; ++r) {
    shard.read(r, row);
    SampleRecord record;
    record.place = cat(path, ": row ", r);
    const std::span ids(row.tokens);
    const std::span trained(row.trained);
    for (size_t s = 0; s < row.starts.size(); ++s) {
      const auto begin = static_cast<size_t>(row.starts[s]);
      const size_t end =
          s + 1 < row.starts.size() ? static_cast<size_t>(row.starts[s + 1]) : ids.size();
      Sample sample = sample_of_tokens(rules.tokenizer.get(), ids.subspan(begin, end - begin),
                                       trained.subspan(begin, end - begin), info.row_length);
      if (info.kind == ExampleKind::kPair) sample.side = s % 2 == 0 ? "chosen" : "rejected";
      if (info.kind == ExampleKind::kRated) sample.desirable = row.desirable[s] != 0;
      add_sample(record, std::move(sample));
    }
    if (!use(record)) break;
  }
  return file;
}

DataKind kind_of(std::span<const Record> records) {
  for (const Record& record : records) {
    if (record.faulty) continue;
    try {
      const Fields fields(parse_record(record.text), own_names());
      if (fields.has("input_ids") || fields.has("completion_ids") || fields.has("chosen_ids"))
        return DataKind::kTokenRows;
      if (fields.has("segments")) return DataKind::kSegments;
      if (fields.has("chosen") && fields.at("chosen").is_array() &&
          fields.array("chosen").size() > 0 &&
          Fields(fields.array("chosen").at(0), own_names()).has("label"))
        return DataKind::kSegments;
      return DataKind::kConversations;
    } catch (const DataError&) {
      // Told when its turn comes.
    }
  }
  return DataKind::kConversations;
}

}  // namespace

SampleRules sample_rules(const std::string& model, const std::string& template_name,
                         const std::string& train_on) {
  SampleRules rules;
  if (!model.empty()) rules.tokenizer = load_tokenizer(model);
  rules.format.segments = rules_for_template(template_name, model);
  rules.format.segments.train_on = parse_train_on(train_on);
  rules.format.segments.any_order = true;  // what there is, is shown
  return rules;
}

bool is_shard(const std::string& path) {
  if (path.ends_with(".nbp")) return true;
  std::error_code none;
  if (!fs::is_regular_file(path, none)) return false;
  std::ifstream file(path, std::ios::binary);
  char magic[4] = {};
  return file.read(magic, 4) && std::string_view(magic, 4) == "\x8FNBP";
}

bool is_training_data(std::string_view path) {
  if (path == "-" || is_shard(std::string(path))) return true;
  if (path.ends_with(".zst")) path.remove_suffix(4);
  for (const std::string_view end : {".nbp", ".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".tab"})
    if (path.ends_with(end)) return true;
  return false;
}

std::string_view data_kind_title(DataKind kind) {
  switch (kind) {
    case DataKind::kConversations:
      return "conversations";
    case DataKind::kSegments:
      return "segments";
    case DataKind::kTokenRows:
      return "token rows";
    case DataKind::kShard:
      break;
  }
  return "packed shard";
}

SampleFile read_samples(const std::string& path, const SampleRules& rules, BadRecords& bad,
                        const std::function<bool(const SampleRecord&)>& use) {
  if (is_shard(path)) return read_shard(path, rules, use);
  SampleFile file;
  FormDetector detector(rules.format.from);
  const int64_t vocab = rules.tokenizer ? rules.tokenizer->vocab_size() : INT32_MAX;
  const auto begin_file = [&](std::span<const Record> records) {
    file.kind = rules.format.from ? DataKind::kConversations : kind_of(records);
    if (file.kind != DataKind::kConversations) return;
    detector.begin_file(records, rules.format.names);
    if (detector.form()) file.form = detector.form()->name;
  };
  const auto work = [&](const Record& in, SampleRecord& record) {
    record = {};
    if (file.kind == DataKind::kTokenRows) {
      thread_local TokenRow row;
      parse_token_row(in.text, vocab, row);
      add_row(record, rules, row);
    } else if (file.kind == DataKind::kSegments) {
      thread_local SegmentedExample example;
      parse_example(in.text, example);
      add_example(record, rules, example, 0, false);
    } else {
      Conversations found;
      const Fields fields(parse_record(in.text), rules.format.names);
      read_conversations(detector.form_of(fields), fields, rules.format.paths, found);
      for (Conversation& c : found.all) add_conversation(record, rules, c);
    }
  };
  try {
    map_records<SampleRecord>(
        {path}, bad, work,
        [&](const Record& in, SampleRecord& record) {
          record.place = place_of(in);
          if (!use(record)) throw Enough();
        },
        begin_file, rules.format.records);
  } catch (const Enough&) {
  }
  return file;
}

}  // namespace nibble
