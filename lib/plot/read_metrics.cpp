// SPDX-License-Identifier: Apache-2.0
// Metrics files: finding, reading and naming them.
#include <glob.h>

#include <algorithm>

#include "base/quote.h"
#include "io/lines.h"
#include "plot/run_metrics.h"

namespace nibble {
namespace {

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t") == std::string_view::npos;
}

// The parts of a path, without the name that all metrics files have.
std::vector<std::string> parts_of(const std::string& path) {
  fs::path whole = fs::path(path).lexically_normal();
  // In the run's own folder, or above it, its name has to be found.
  if (whole == "metrics.jsonl" || *whole.begin() == "..") {
    std::error_code error;
    const fs::path absolute = fs::absolute(whole, error);
    if (!error) whole = absolute.lexically_normal();
  }
  std::vector<std::string> parts;
  for (const fs::path& part : whole) parts.push_back(part.string());
  if (parts.size() > 1 && parts.back().empty()) parts.pop_back();
  if (parts.size() > 1 && parts.back() == "metrics.jsonl") parts.pop_back();
  return parts;
}

std::string without_ending(std::string name) {
  for (const std::string_view ending : {".zst", ".jsonl", ".json"})
    if (name.size() > ending.size() && name.ends_with(ending))
      name.resize(name.size() - ending.size());
  return name;
}

}  // namespace

std::string metrics_file(const std::string& path) {
  if (path == "-" || !is_input_folder(path)) return path;
  const fs::path file = fs::path(path) / "metrics.jsonl";
  if (!input_exists(file))
    throw NoInputError(
        cat(path, ": no metrics.jsonl in this folder; name a run's folder or its metrics file"));
  return file.string();
}

RunMetrics read_metrics(const std::string& path, const ReadOptions& options) {
  RunMetrics run;
  run.path = metrics_file(path);
  MetricsParser parser(run);
  LineReader reader(run.path);
  int64_t bad = 0;
  // A fault is told when another line follows: the last line may be cut short.
  std::string fault;
  const auto settle = [&] {
    if (fault.empty()) return;
    if (++bad > options.skip_bad) throw DataError(fault);
    if (options.warn) options.warn(cat(fault, " (left out)"));
    fault.clear();
  };
  bool whole = false;  // whether the faulty line is JSON, so that nothing was cut off
  for (std::string_view line; reader.next(line);) {
    settle();
    if (is_blank(line)) continue;
    try {
      parser.add(line, reader.place());
    } catch (const DataError& error) {
      fault = error.what();
      whole = line.back() == '}';
    }
  }
  if (!fault.empty() && !whole && run.last_step > 0 && bad >= options.skip_bad) {
    if (options.warn)
      options.warn(cat(reader.place(),
                       ": the last line is cut short and left out; the run was "
                       "killed or is still writing (--follow waits for it)"));
  } else {
    settle();
  }
  if (run.last_step == 0)
    throw DataError(cat(reader.name(),
                        ": no step in it; is it what nibble-train writes with "
                        "--metrics, and has the run begun?"));
  return run;
}

std::vector<std::string> expand_patterns(const std::vector<std::string>& paths) {
  std::vector<std::string> out;
  for (const std::string& path : paths) {
    const bool pattern = path.find_first_of("*?[") != std::string::npos;
    if (!pattern || path == "-" || input_exists(path)) {
      out.push_back(path);
      continue;
    }
    glob_t found = {};
    const int code = ::glob(path.c_str(), GLOB_TILDE, nullptr, &found);
    for (size_t i = 0; code == 0 && i < found.gl_pathc; ++i) out.emplace_back(found.gl_pathv[i]);
    ::globfree(&found);
    if (code == GLOB_NOMATCH)
      throw NoInputError(cat(quote(path), ": matches no file; check the pattern"));
    if (code != 0)
      throw NoInputError(cat(quote(path), ": cannot be searched; check its permissions"));
  }
  return out;
}

void name_runs(std::vector<RunMetrics>& runs) {
  std::vector<std::vector<std::string>> all;
  for (const RunMetrics& run : runs) all.push_back(parts_of(run.path));
  if (all.empty()) return;
  if (all.size() == 1) {
    const std::string& last = all[0].back();
    runs[0].name = runs[0].path == "-" ? "standard input" : without_ending(last);
    return;
  }
  // What all begin with and what all end with says nothing.
  size_t shortest = all[0].size(), front = 0, back = 0;
  for (const auto& parts : all) shortest = std::min(shortest, parts.size());
  const auto same = [&](auto at) {
    return std::all_of(all.begin(), all.end(), [&](const auto& p) { return at(p) == at(all[0]); });
  };
  while (front + 1 < shortest && same([&](const auto& p) { return p[front]; })) ++front;
  while (back + front + 1 < shortest && same([&](const auto& p) { return p[p.size() - 1 - back]; }))
    ++back;
  for (size_t i = 0; i < runs.size(); ++i) {
    std::string name;
    for (size_t k = front; k + back < all[i].size(); ++k)
      name += (name.empty() ? "" : "/") + all[i][k];
    runs[i].name = runs[i].path == "-" ? "standard input" : without_ending(name);
  }
}

}  // namespace nibble
