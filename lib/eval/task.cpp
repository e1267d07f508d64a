// SPDX-License-Identifier: Apache-2.0
#include "eval/task.h"

#include <toml++/toml.h>
#include <algorithm>
#include <map>
#include <set>

#include "eval/task_metrics.h"
#include "text/unicode.h"

namespace nibble {
namespace {

// A table of the file, whose keys must all be asked for.
class Table {
 public:
  Table(const toml::table& table, const std::string& place) : table_(table), place_(place) {}

  const toml::node* find(std::string_view key) {
    asked_.insert(std::string(key));
    return table_.get(key);
  }
  void text(std::string_view key, std::string& out) {
    if (const toml::node* n = find(key)) out = text_of(key, *n);
  }
  void integer(std::string_view key, int64_t low, int64_t high, int64_t& out) {
    const toml::node* n = find(key);
    if (!n) return;
    const auto value = n->value_exact<int64_t>();
    if (!value || *value < low || *value > high)
      fail(*n, cat("\"", key, "\" is not a whole number from ", low, " to ", high));
    out = *value;
  }
  void texts(std::string_view key, std::vector<std::string>& out) {
    const toml::node* n = find(key);
    if (!n) return;
    const toml::array* list = n->as_array();
    if (!list) fail(*n, cat("\"", key, "\" is not a list of texts"));
    out.clear();
    for (const toml::node& item : *list) out.push_back(text_of(key, item));
  }
  std::string text_of(std::string_view key, const toml::node& n) const {
    const auto value = n.value_exact<std::string>();
    if (!value) fail(n, cat("\"", key, "\" is not text"));
    return *value;
  }
  /// Throws where a key was not asked for.
  void finish() const {
    for (const auto& [key, node] : table_)
      if (!asked_.contains(std::string(key.str())))
        fail(node, cat("no key \"", key.str(), "\" belongs here; see FORMAT.md"));
  }
  [[noreturn]] void fail(const toml::node& n, std::string_view fault) const {
    throw DataError(cat(place_of(n), ": ", fault));
  }
  std::string place_of(const toml::node& n) const {
    return cat(place_, ":", static_cast<int64_t>(n.source().begin.line));
  }
  const toml::table& table() const { return table_; }

 private:
  const toml::table& table_;
  const std::string& place_;
  std::set<std::string> asked_;
};

// A form's key may stand at the top, for all forms.
class FormReader {
 public:
  FormReader(Table& form, Table& top) : form_(form), top_(top) {}

  void one(std::string_view key, std::optional<jinja::Template>& out) {
    if (const auto [table, n] = find(key); n) out = make(*table, key, *n);
  }
  void list(std::string_view key, ListTemplate& out) {
    const auto [table, n] = find(key);
    if (!n) return;
    if (const toml::array* items = n->as_array()) {
      for (const toml::node& item : *items) out.items.push_back(make(*table, key, item));
    } else {
      out.items.push_back(make(*table, key, *n));
      out.json = true;
    }
    if (out.items.empty()) table->fail(*n, cat("\"", key, "\" is empty"));
  }

 private:
  // Jinja takes one line end off a template's end, which here means what it says.
  static jinja::Template make(const Table& table, std::string_view key, const toml::node& n) {
    std::string text = table.text_of(key, n);
    if (text.ends_with('\n')) text += '\n';
    return jinja::Template(text, table.place_of(n));
  }
  std::pair<Table*, const toml::node*> find(std::string_view key) {
    const toml::node* everywhere = top_.find(key);
    if (const toml::node* own = form_.find(key)) return {&form_, own};
    return {&top_, everywhere};
  }
  Table& form_;
  Table& top_;
};

TaskForm read_form(const toml::table& source, Table& top, const Task& task) {
  Table table(source, task.place);
  TaskForm form;
  form.place = table.place_of(source);
  table.texts("fields", form.fields);
  table.texts("unfold", form.unfold);
  FormReader read(table, top);
  read.one("description", form.description);
  read.one("answer", form.answer);
  read.one("target", form.target);
  read.one("group", form.group);
  read.list("prompt", form.prompt);
  if (form.prompt.items.size() == 1) form.prompt.json = false;
  read.list("choices", form.choices);
  read.list("labels", form.labels);
  read.list("correct", form.correct);
  read.list("references", form.references);
  table.finish();
  const auto need = [&](bool there, std::string_view key) {
    if (!there) throw DataError(cat(form.place, ": the form has no \"", key, "\""));
  };
  need(static_cast<bool>(form.prompt), "prompt");
  switch (task.kind) {
    case TaskKind::kChoice:
      need(form.prompt.items.size() > 1 ? form.target.has_value() : static_cast<bool>(form.choices),
           form.prompt.items.size() > 1 ? "target" : "choices");
      need(form.answer || form.correct, "answer");
      break;
    case TaskKind::kContinuation:
      need(form.target.has_value(), "target");
      break;
    case TaskKind::kCompletion:
      need(static_cast<bool>(form.references), "references");
      break;
  }
  return form;
}

TaskRewrite read_rewrite(const toml::table& source, const std::string& place) {
  Table table(source, place);
  TaskRewrite r;
  if (const toml::node* n = table.find("strip")) r.strip = n->value_or(false);
  table.text("find", r.find);
  table.text("with", r.with);
  if (const toml::node* n = table.find("pattern")) try {
      r.pattern.emplace(table.text_of("pattern", *n));
    } catch (const Error& e) {
      table.fail(*n, e.what());
    }
  table.finish();
  if (r.strip + !r.find.empty() + r.pattern.has_value() != 1)
    table.fail(source, "a rewrite has one of \"strip\", \"find\" and \"pattern\"");
  return r;
}

const toml::array* tables_of(Table& top, std::string_view key) {
  const toml::node* n = top.find(key);
  if (!n) return nullptr;
  const toml::array* list = n->as_array();
  if (!list || !list->is_homogeneous<toml::table>())
    top.fail(*n, cat("\"", key, "\" is written [[", key, "]]"));
  return list;
}

Task read_task(const toml::table& source, const std::string& place) {
  Table top(source, place);
  Task task;
  task.place = place;
  top.text("name", task.name);
  top.text("about", task.about);
  top.text("source", task.source);
  top.texts("suites", task.suites);
  if (task.name.empty()) throw DataError(cat(place, ":1: the task has no \"name\""));
  std::string kind = "choice", order = "sample";
  top.text("kind", kind);
  const std::map<std::string_view, TaskKind> kinds = {{"choice", TaskKind::kChoice},
                                                      {"continuation", TaskKind::kContinuation},
                                                      {"completion", TaskKind::kCompletion}};
  if (!kinds.contains(kind))
    top.fail(*top.find("kind"),
             cat("kind \"", kind, "\" is none of choice, continuation, completion"));
  task.kind = kinds.at(kind);
  top.texts("metrics", task.metrics);
  if (task.metrics.empty()) throw DataError(cat(place, ":1: the task has no \"metrics\""));
  for (const std::string& metric : task.metrics)
    if (const std::string fault = metric_fault(metric, task.kind); !fault.empty())
      top.fail(*top.find("metrics"), fault);
  top.text("delimiter", task.delimiter);
  top.text("separator", task.separator);
  top.integer("few_shot", 0, 1000, task.few_shot);
  top.text("few_shot_order", order);
  try {
    task.few_shot_order = parse_few_shot_order(order);
  } catch (const UsageError& e) {
    top.fail(*top.find("few_shot_order"), e.what());
  }
  top.integer("count", 0, 1000, task.count);
  top.texts("test", task.test);
  top.texts("train", task.train);
  top.texts("columns", task.columns);
  top.texts("stop", task.stop);
  top.integer("max_tokens", 1, 1 << 20, task.max_tokens);
  if (const toml::node* n = top.find("beside")) {
    if (!n->as_table()) top.fail(*n, "\"beside\" is no table of member = \"ending\"");
    for (const auto& [member, ending] : *n->as_table())
      task.beside.emplace_back(std::string(member.str()), top.text_of("beside", ending));
  }
  if (const toml::array* list = tables_of(top, "rewrite"))
    for (const toml::node& n : *list) task.rewrites.push_back(read_rewrite(*n.as_table(), place));
  const toml::array* forms = tables_of(top, "form");
  if (!forms) throw DataError(cat(place, ":1: the task has no [[form]]"));
  for (const toml::node& n : *forms) task.forms.push_back(read_form(*n.as_table(), top, task));
  top.finish();
  return task;
}

void replace_all(std::string& text, std::string_view find, std::string_view with) {
  std::string out;
  size_t at = 0;
  for (size_t next; (next = text.find(find, at)) != std::string::npos; at = next + find.size())
    out.append(text, at, next - at).append(with);
  text = out.append(text, at);
}

void replace_all(std::string& text, const Pattern& pattern, std::string_view with) {
  std::string out;
  size_t at = 0;
  while (const auto match = pattern.find(text, at)) {
    out.append(text, at, match->begin - at).append(with);
    at = match->end;
    if (match->end == match->begin) {  // an empty match: past one character
      if (at >= text.size()) break;
      do out += text[at++];
      while (at < text.size() && (text[at] & 0xC0) == 0x80);
    }
  }
  text = out.append(text, std::min(at, text.size()));
}

}  // namespace

FewShotOrder parse_few_shot_order(std::string_view name) {
  if (name == "first") return FewShotOrder::kFirst;
  if (name == "fixed") return FewShotOrder::kFixed;
  if (name == "sample") return FewShotOrder::kSample;
  throw UsageError(cat("few-shot order \"", name, "\" is none of first, fixed, sample"));
}

std::string Task::rewritten(std::string text) const {
  for (const TaskRewrite& r : rewrites) {
    if (r.strip)
      text = std::string(python_strip(text));
    else if (r.pattern)
      replace_all(text, *r.pattern, r.with);
    else
      replace_all(text, r.find, r.with);
  }
  return text;
}

Task parse_task(std::string_view text, const std::string& place) {
  try {
    Task task = read_task(toml::parse(text), place);
    task.toml = text;
    return task;
  } catch (const toml::parse_error& e) {
    throw DataError(cat(place, ":", static_cast<int64_t>(e.source().begin.line), ": ",
                        std::string_view(e.description())));
  }
}

}  // namespace nibble
