// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "eval/task_examples.h"

namespace nibble {
namespace {

bool matches(std::string_view pattern, std::string_view name) {
  const size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == name;
  const auto before = pattern.substr(0, star), after = pattern.substr(star + 1);
  return name.size() >= before.size() + after.size() && name.starts_with(before) &&
         name.ends_with(after);
}

// Files of one of the names, plain or compressed.
std::vector<std::string> files_of(const fs::path& folder, const std::string& name) {
  std::vector<std::string> out;
  const fs::path path = folder / name;
  if (name.find('*') == std::string::npos) {
    for (const char* ending : {"", ".zst"})
      if (const std::string file = path.string() + ending; out.empty() && input_exists(file))
        out.push_back(file);
    return out;
  }
  if (!is_input_folder(path.parent_path())) return out;
  for (const auto& entry : fs::directory_iterator(path.parent_path()))
    if (matches(path.filename().string(), entry.path().filename().string()))
      out.push_back(entry.path().string());
  std::ranges::sort(out);
  return out;
}

std::vector<std::string> first_found(const fs::path& folder,
                                     const std::vector<std::string>& names) {
  for (const std::string& name : names)
    if (auto files = files_of(folder, name); !files.empty()) return files;
  return {};
}

}  // namespace

ExampleFiles find_files(const Task& task, const std::string& data, const std::string& train) {
  ExampleFiles out;
  const bool is_file = !data.empty() && (data == "-" || !is_input_folder(data));
  const fs::path folder = !data.empty() && !is_file   ? fs::path(data)
                          : task.place.ends_with(')') ? fs::path(".")
                                                      : fs::path(task.place).parent_path();
  out.test = is_file ? std::vector{data} : first_found(folder, task.test);
  if (out.test.empty()) {
    std::string names;
    for (const std::string& name : task.test) names += cat(names.empty() ? "" : ", ", name);
    throw NoInputError(cat(folder.string(), ": no file of ", task.name, "; looked for ",
                           names.empty() ? "none" : names, "; name one with --data=FILE"));
  }
  if (!train.empty())
    out.train = {train};
  else
    out.train = first_found(is_file ? fs::path(data).parent_path() : folder, task.train);
  return out;
}

}  // namespace nibble
