// SPDX-License-Identifier: Apache-2.0
// Tasks: benchmarks described by a TOML file each, so that one is added without compiling. Texts of
// a task are Jinja templates over a record's members; a list is an array of templates, or one that
// writes a JSON list. tasks/FORMAT.md has every key.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja.h"
#include "text/pattern.h"

namespace nibble {

/// A list of texts made from a record.
struct ListTemplate {
  std::vector<jinja::Template> items;
  bool json = false;  // the one item writes a JSON list

  explicit operator bool() const { return !items.empty(); }
};

/// One way in which the benchmark's records are written.
struct TaskForm {
  std::string place;                // "arc_easy.toml:12", for messages
  std::vector<std::string> fields;  // what such records have: "question", "choices.label.0"
  std::vector<std::string> unfold;  // lists in one another whose innermost objects are the records
  std::optional<jinja::Template> description, answer, target, group;
  ListTemplate prompt, choices, labels, correct, references;
};

/// A change of prompts and choices: white space at the ends taken off, or a text or pattern
/// replaced everywhere.
struct TaskRewrite {
  bool strip = false;
  std::string find, with;
  std::optional<Pattern> pattern;
};

enum class TaskKind : uint8_t {
  kChoice,        // which choice is likeliest
  kContinuation,  // how likely the target is, and whether it is what greedy decoding writes
  kCompletion,    // what the model writes
};

enum class FewShotOrder : uint8_t {
  kFirst,   // the source's first
  kFixed,   // one draw for all questions (of a group)
  kSample,  // a draw for every question
};
FewShotOrder parse_few_shot_order(std::string_view name);  // throws UsageError

struct Task {
  std::string name, about, source, place;
  std::vector<std::string> suites;
  TaskKind kind = TaskKind::kChoice;
  std::vector<std::string> metrics;
  std::string delimiter = " ";     // between a prompt and its answer
  std::string separator = "\n\n";  // after an example of the few shots
  int64_t few_shot = 0;
  FewShotOrder few_shot_order = FewShotOrder::kSample;
  int64_t count = 0;  // of choices; 0: any
  std::vector<std::string> test, train, columns;
  std::vector<std::pair<std::string, std::string>>
      beside;  // member, ending of the file of its lines
  std::vector<std::string> stop;
  int64_t max_tokens = 256;
  std::vector<TaskRewrite> rewrites;
  std::vector<TaskForm> forms;
  std::string toml;  // the source

  /// The rewrites, in order.
  std::string rewritten(std::string text) const;
};

/// Throws DataError "place:LINE: fault" for what is no TOML, an unknown key or a wrong value.
Task parse_task(std::string_view toml, const std::string& place);

/// The tasks of a name, a suite's name or a TOML file. Names are looked for in the folders of
/// $NIBBLE_TASKS, then among the built-in ones; a file there that cannot be read matters to who
/// asks for it by its own name alone. Throws UsageError naming what there is.
std::vector<Task> find_tasks(const std::string& name);

struct TaskSummary {
  std::string name, about;
};
/// All that find_tasks knows by name; and what is wrong with files that it cannot read.
std::vector<TaskSummary> list_tasks(std::vector<std::string>& faults);

namespace detail {
struct BuiltinTask {
  std::string_view name, toml;
};
/// The files of lib/eval/tasks, which are part of the program so that it runs wherever it is put.
extern const BuiltinTask kBuiltinTasks[];
extern const size_t kBuiltinTaskCount;
}  // namespace detail

}  // namespace nibble
