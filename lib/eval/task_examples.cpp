// SPDX-License-Identifier: Apache-2.0
#include "eval/task_examples.h"

#include <algorithm>
#include <map>

#include "eval/table_records.h"

namespace nibble {
namespace {

// A member by its path, "choices.label.0".
const Json* member_at(const Json& record, std::string_view path) {
  const Json* at = &record;
  while (at && !path.empty()) {
    const size_t dot = std::min(path.find('.'), path.size());
    const std::string_view step = path.substr(0, dot);
    path.remove_prefix(std::min(dot + 1, path.size()));
    size_t index = 0;
    if (at->is_array()) {
      const auto [end, error] = std::from_chars(step.data(), step.data() + step.size(), index);
      const bool number = error == std::errc() && end == step.data() + step.size();
      at = number && index < at->as_array().size() ? &at->as_array()[index] : nullptr;
    } else {
      at = at->find(step);
    }
  }
  return at && !at->is_null() ? at : nullptr;
}

// The records inside a record: the innermost objects, each with what its parents have, whose
// members of the same names are those of "outer".
void unfold(const Json& record, std::span<const std::string> path, std::vector<Json>& out) {
  if (path.empty()) {
    out.push_back(record);
    return;
  }
  const Json* list = record.find(path.front());
  if (!list) return;
  Json parent = record;
  parent.erase(path.front());
  const auto enter = [&](const Json& item) {
    Json merged = parent;
    merged.set("outer", parent);
    for (const auto& [name, value] : item.as_object()) merged.set(name, value);
    unfold(merged, path.subspan(1), out);
  };
  if (list->is_object()) return enter(*list);
  for (const Json& item : list->as_array()) enter(item);
}

std::string names_of(const Json& record) {
  std::string out;
  for (const auto& [name, value] : record.as_object()) out += cat(out.empty() ? "" : ", ", name);
  return out.empty() ? "none" : out;
}

const std::string* first_missing(const TaskForm& form, const Json& record) {
  for (const std::string& field : form.fields)
    if (!member_at(record, field)) return &field;
  return nullptr;
}

const TaskForm& detect(const Task& task, const Json& record) {
  std::string wanted;
  for (const TaskForm& form : task.forms) {
    std::vector<Json> records;
    try {
      unfold(record, form.unfold, records);
    } catch (const DataError&) {  // not of this form
    }
    if (!records.empty() && !first_missing(form, records.front())) return form;
    std::string fields;
    for (const std::string& f : form.fields) fields += cat(fields.empty() ? "" : ", ", f);
    wanted += cat(wanted.empty() ? "" : "; or ", fields);
  }
  throw DataError(
      cat("the record's members are ", names_of(record), "; ", task.name, " reads ", wanted));
}

std::string text_of(const Json& value) {
  if (value.is_string()) return value.as_string();
  if (value.is_array() || value.is_object() || value.is_null())
    throw DataError(cat("a list of the task holds ", value.dump(), ", not text"));
  return value.dump();
}

std::vector<std::string> texts_of(const ListTemplate& list, const Json& record) {
  std::vector<std::string> out;
  if (!list.json) {
    for (const jinja::Template& t : list.items) out.push_back(t.render(record).text);
    return out;
  }
  const std::string text = list.items.front().render(record).text;
  const Json value = parse_json(text, list.items.front().place());
  if (!value.is_array()) return {text_of(value)};
  for (const Json& item : value.as_array()) out.push_back(text_of(item));
  return out;
}

std::optional<int64_t> whole_number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

// The choices that an answer names: by label, by text, by number, or a JSON list of those.
std::vector<int64_t> answers_of(const TaskExample& e, const std::vector<std::string>& labels,
                                const std::string& answer) {
  std::vector<std::string> names = {answer};
  if (answer.starts_with('[')) {
    names.clear();
    const Json list = parse_json(answer, "answer");
    for (const Json& item : list.as_array()) names.push_back(text_of(item));
  }
  std::vector<int64_t> out;
  for (const std::string& name : names) {
    const auto& known = labels.empty() ? e.choices : labels;
    const auto at = std::ranges::find(known, name);
    std::optional<int64_t> index;
    if (at != known.end())
      index = at - known.begin();
    else if (labels.empty())
      index = whole_number(name);
    if (!index || *index < 0 || *index >= std::ssize(e.choices))
      throw DataError(cat("the answer \"", name, "\" is none of the ",
                          static_cast<int64_t>(e.choices.size()), " choices"));
    out.push_back(*index);
  }
  if (out.empty()) throw DataError("no choice is right");
  return out;
}

void read_choices(const Task& task, const TaskForm& form, const Json& record, TaskExample& e) {
  const bool in_prompts = form.prompt.items.size() > 1;
  e.choices = in_prompts ? e.prompts : texts_of(form.choices, record);
  if (!in_prompts)
    for (std::string& choice : e.choices) choice = task.rewritten(std::move(choice));
  const auto count = static_cast<int64_t>(e.choices.size());
  if (count < 2 || (task.count > 0 && count != task.count))
    throw DataError(cat(count, " choices; ", task.name, " has ",
                        task.count > 0 ? cat(task.count) : std::string("two or more")));
  e.labels = texts_of(form.labels, record);
  const auto& labels = e.labels;
  if (!labels.empty() && std::ssize(labels) != count)
    throw DataError(cat(count, " choices, but ", std::ssize(labels), " labels"));
  for (const std::string& c : texts_of(form.correct, record)) {
    if (c != "0" && c != "1") throw DataError(cat("\"correct\" holds ", c, ", neither 0 nor 1"));
    e.correct.push_back(c == "1" ? 1.0 : 0.0);
  }
  if (!e.correct.empty() && std::ssize(e.correct) != count)
    throw DataError(cat(count, " choices, but ", std::ssize(e.correct), " marks of correctness"));
  if (form.answer) {
    e.answers = answers_of(e, labels, form.answer->render(record).text);
  } else {
    for (int64_t i = 0; i < count; ++i)
      if (e.correct[static_cast<size_t>(i)] == 1.0) e.answers.push_back(i);
    if (e.answers.empty()) throw DataError("no choice is right");
  }
}

TaskExample make_example(const Task& task, const TaskForm& form, const Json& record,
                         const std::vector<std::string>& tags) {
  TaskExample e;
  if (form.description) e.description = form.description->render(record).text;
  if (form.group) e.group = form.group->render(record).text;
  for (std::string& prompt : texts_of(form.prompt, record))
    e.prompts.push_back(task.rewritten(std::move(prompt)));
  if (form.target) e.target = form.target->render(record).text;
  if (task.kind == TaskKind::kChoice) read_choices(task, form, record, e);
  e.references = texts_of(form.references, record);
  if (task.kind == TaskKind::kCompletion && e.references.empty()) throw DataError("no reference");
  e.tags = Json::object();
  for (const std::string& tag : tags)
    if (const Json* value = member_at(record, tag)) e.tags.set(tag, *value);
  return e;
}

}  // namespace

std::string TaskExample::shown(const Task& task) const {
  const auto right = answers.empty() ? size_t{0} : static_cast<size_t>(answers.front());
  const std::string& prompt = prompts.size() > 1 ? prompts[right] : prompts.front();
  const std::string& answer = task.kind == TaskKind::kCompletion      ? references.front()
                              : prompts.size() > 1 || choices.empty() ? target
                                                                      : choices[right];
  return cat(prompt, task.delimiter, answer, task.separator);
}

std::vector<TaskExample> read_examples(const Task& task, const std::vector<std::string>& files,
                                       int64_t limit, const std::vector<std::string>& tags) {
  std::vector<TaskExample> out;
  std::map<std::string, int64_t> taken;  // of every group
  int64_t number = 0;
  const auto add = [&](const TaskForm& form, const Json& record, const std::string& place) {
    TaskExample e = make_example(task, form, record, tags);
    e.number = number++;
    if (limit > 0 && taken[e.group]++ >= limit) return form.group.has_value();
    e.place = place;
    out.push_back(std::move(e));
    return true;
  };
  for (const std::string& file : files) {
    const TaskForm* form = nullptr;
    TableRecords records(file, task.columns, task.beside);
    bool more = true;
    for (TaskRecord record; more && records.next(record);) try {
        if (!form) form = &detect(task, record.value);
        std::vector<Json> inside;
        unfold(record.value, form->unfold, inside);
        int64_t within = 0;
        for (const Json& one : inside) {
          ++within;
          if (const std::string* missing = first_missing(*form, one))
            throw DataError(cat("no \"", *missing, "\"",
                                form->unfold.empty() ? std::string() : cat(" in record ", within)));
          more = add(*form, one, record.place);
          if (!more) break;
        }
      } catch (const DataError& e) {
        throw DataError(cat(record.place, ": ", e.what()));
      }
    if (!more) break;
  }
  return out;
}

}  // namespace nibble
