// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdlib>

#include "eval/task.h"

namespace nibble {
namespace {

// The folders of $NIBBLE_TASKS, in order.
std::vector<fs::path> user_folders() {
  std::vector<fs::path> out;
  const char* all = std::getenv("NIBBLE_TASKS");
  std::string_view rest = all ? all : "";
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(':'), rest.size());
    if (end > 0) out.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return out;
}

Task read_task_file(const fs::path& path) {
  return parse_task(read_text_file(path, size_t{1} << 20), path.string());
}

// Every task that a name may mean, the user's before the built-in ones of the same name; and the
// user's files that cannot be read, which are in nobody's way but of who asks for them.
struct AllTasks {
  std::vector<Task> tasks;
  std::vector<std::pair<fs::path, std::string>> faults;

  void add(Task task) {
    if (std::ranges::none_of(tasks, [&](const Task& t) { return t.name == task.name; }))
      tasks.push_back(std::move(task));
  }
};

AllTasks all_tasks() {
  AllTasks out;
  for (const fs::path& folder : user_folders()) {
    if (!is_input_folder(folder))
      throw NoInputError(cat(folder.string(), ": no folder; $NIBBLE_TASKS names it"));
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(folder))
      if (entry.path().extension() == ".toml") files.push_back(entry.path());
    std::ranges::sort(files);
    for (const fs::path& file : files) try {
        out.add(read_task_file(file));
      } catch (const Error& e) {
        out.faults.emplace_back(file, e.what());
      }
  }
  for (size_t i = 0; i < detail::kBuiltinTaskCount; ++i) {
    const detail::BuiltinTask& task = detail::kBuiltinTasks[i];
    out.add(parse_task(task.toml, cat(task.name, ".toml (built in)")));
  }
  return out;
}

}  // namespace

std::vector<Task> find_tasks(const std::string& name) {
  std::vector<Task> out;
  if (name.ends_with(".toml") || name.find('/') != std::string::npos) {
    out.push_back(read_task_file(name));
    return out;
  }
  AllTasks all = all_tasks();
  for (const auto& [file, fault] : all.faults)
    if (file.stem() == name) throw DataError(fault);
  std::string names;
  for (Task& task : all.tasks) {
    names += cat(names.empty() ? "" : ", ", task.name);
    if (task.name == name || std::ranges::find(task.suites, name) != task.suites.end())
      out.push_back(std::move(task));
  }
  if (!out.empty()) return out;
  for (const auto& [file, fault] : all.faults) names += cat("; and a faulty file, ", fault);
  throw UsageError(cat("--task=", name, ": no such task, nor a file NAME.toml; there are ", names));
}

std::vector<TaskSummary> list_tasks(std::vector<std::string>& faults) {
  std::vector<TaskSummary> out;
  const AllTasks all = all_tasks();
  for (const Task& task : all.tasks) out.push_back({task.name, task.about});
  for (const auto& [file, fault] : all.faults) faults.push_back(fault);
  std::ranges::sort(out, {}, &TaskSummary::name);
  return out;
}

}  // namespace nibble
