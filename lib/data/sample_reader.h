// SPDX-License-Identifier: Apache-2.0
// Samples of a data file of any kind: conversations in their forms, segments, token rows, packed
// shards. Streams, in order, in memory bounded by some batches.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data/format_records.h"
#include "data/sample.h"
#include "text/script.h"

namespace nibble {

/// What samples are made with.
struct SampleRules {
  FormatRules format;                    // for conversations; without a template, turns stand bare
  std::shared_ptr<Tokenizer> tokenizer;  // null: text is not counted in tokens, ids have no text
};

/// The rules of --model (a folder, or nothing), --template and --train-on. A model's own template
/// writes conversations.
SampleRules sample_rules(const std::string& model, const std::string& template_name,
                         const std::string& train_on);

/// Whether it is a packed shard, by its name or first bytes.
bool is_shard(const std::string& path);
/// Whether it is one, or the name says that it is training data ("-": standard input is).
bool is_training_data(std::string_view path);

/// What a file holds.
enum class DataKind : uint8_t { kConversations, kSegments, kTokenRows, kShard };
std::string_view data_kind_title(DataKind kind);

/// What is counted of a record where it is read, by all threads.
struct SampleRecord {
  std::string place;  // "rows.jsonl:12", "train.nbp: row 3"
  std::vector<Sample> samples;
  std::array<int64_t, kScripts> scripts{};  // letters of each script
  std::vector<uint64_t> hashes;             // of each sample's text, or ids
};

struct SampleFile {
  DataKind kind = DataKind::kConversations;
  std::string form;  // of conversations
  int64_t rows = 0;  // of a shard
  int64_t row_length = 0;
  std::string mode;
};

/// Gives every record of the file ("-": standard input) to `use`, until it says false. Throws
/// DataError; bad records are for `bad` to judge.
SampleFile read_samples(const std::string& path, const SampleRules& rules, BadRecords& bad,
                        const std::function<bool(const SampleRecord&)>& use);

}  // namespace nibble
