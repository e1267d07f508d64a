// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <limits>

#include "base/error.h"
#include "plot/curves.h"
#include "plot/follow.h"
#include "plot/report.h"
#include "plot/sweep.h"
#include "plot/ticks.h"
#include "plot/words.h"
#include "support/folder_test.h"

namespace nibble::test {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

class Metrics : public FolderTest {
 protected:
  std::string write(const std::string& name, const std::string& text) {
    const fs::path path = folder() / name;
    fs::create_directories(path.parent_path());
    write_text_file(path, text);
    return path.string();
  }
  // The fault that reading it tells, without the folder's name.
  std::string fault(const std::string& text, ReadOptions options = {}) {
    const std::string path = write("m.jsonl", text);
    try {
      read_metrics(path, options);
    } catch (const DataError& e) {
      const std::string what = e.what();
      EXPECT_TRUE(what.starts_with(folder().string() + "/")) << what;
      return what.substr(folder().string().size() + 1);
    }
    return "";
  }
};

// A run of `steps` with these options.
RunMetrics run_with(const std::string& name, const Json::Object& options, double loss) {
  RunMetrics run;
  run.name = run.path = name;
  run.run = Json::object({{"options", Json(options)}, {"steps", 3}});
  run.curves = {{"loss", {{1, 2, 3}, {loss + 2, loss + 1, loss}}}};
  run.last_step = 3;
  return run;
}

TEST_F(Metrics, Read) {
  const RunMetrics run =
      read_metrics(write("m.jsonl",
                         "{\"step\": 0, \"run\": {\"options\": {\"rank\": \"8\"}, \"steps\": 2}}\n"
                         "{\"step\": 1, \"loss\": 3.5, \"epoch\": 0.5, \"note\": \"x\"}\n\n"
                         "{\"step\": 2, \"loss\": null, \"validation_loss\": 3}\n"),
                   {});
  ASSERT_EQ(run.curves.size(), 3U);
  EXPECT_EQ(run.find("loss")->steps, (std::vector<double>{1, 2}));
  EXPECT_EQ(run.find("loss")->values[0], 3.5);
  EXPECT_TRUE(std::isnan(run.find("loss")->values[1]));
  EXPECT_EQ(run.find("validation_loss")->steps, std::vector<double>{2});
  EXPECT_EQ(run.find("note"), nullptr);
  EXPECT_EQ(run.option("rank"), "8");
  EXPECT_EQ(run.option("alpha"), "");
  EXPECT_TRUE(run.finished());
  EXPECT_EQ(run.last_step, 2);
}

TEST_F(Metrics, AStepThatComesAgainReplacesWhatFollowed) {
  const RunMetrics run =
      read_metrics(write("m.jsonl",
                         "{\"step\": 1, \"loss\": 1}\n{\"step\": 2, \"loss\": 2}\n"
                         "{\"step\": 2, \"validation_loss\": 9}\n{\"step\": 3, \"loss\": 3}\n"
                         "{\"step\": 2, \"loss\": 20}\n{\"step\": 3, \"loss\": 30}\n"),
                   {});
  EXPECT_EQ(run.find("loss")->values, (std::vector<double>{1, 20, 30}));
  EXPECT_EQ(run.find("loss")->steps, (std::vector<double>{1, 2, 3}));
  EXPECT_TRUE(run.find("validation_loss")->values.empty());
}

TEST_F(Metrics, ANewRunInTheFileBeginsAnew) {
  const RunMetrics run =
      read_metrics(write("m.jsonl",
                         "{\"step\": 5, \"loss\": 1}\n{\"step\": 0, \"run\": {}}\n"
                         "{\"step\": 1, \"loss\": 7}\n"),
                   {});
  EXPECT_EQ(run.find("loss")->values, std::vector<double>{7});
  EXPECT_EQ(run.last_step, 1);
}

TEST_F(Metrics, Faults) {
  const std::string good = "{\"step\": 1, \"loss\": 2}\n",
                    remedy = "; correct the line, or leave it out with --skip-bad";
  EXPECT_EQ(fault(good + "{\"step\": 2, \"lo\n" + good),
            "m.jsonl:2: not a JSON object (cut short?)" + remedy);
  EXPECT_EQ(fault(good + "{\"step\": 2, \"loss\": \"1.5\"}\n"),
            "m.jsonl:2: \"loss\" is a text, not a number" + remedy);
  EXPECT_EQ(fault(good + "{\"step\": 2, \"loss\": [1]}\n"),
            "m.jsonl:2: \"loss\" is something else, not a number" + remedy);
  for (const char* word : {"NaN", "Infinity", "-Infinity", "nan", "inf"})
    EXPECT_EQ(fault(good + "{\"step\": 2, \"loss\": " + word + "}\n" + good),
              "m.jsonl:2: NaN or Infinity is no number" + remedy);
  EXPECT_EQ(fault(good + "{\"step\": 2, \"loss\": 1e300}\n"),
            "m.jsonl:2: \"loss\" is beyond all bounds" + remedy);
  for (const char* step : {"-1", "\"2\"", "1.5", "1e300", "null"})
    EXPECT_EQ(fault(good + "{\"step\": " + step + ", \"loss\": 1}\n"),
              "m.jsonl:2: \"step\" is no number of a step" + remedy);
  EXPECT_EQ(fault("{\"prompt\": \"x\"}\n" + good),
            "m.jsonl:1: no \"step\"; is this what nibble-train writes with --metrics?");
  EXPECT_EQ(fault("[1]\n" + good),
            "m.jsonl:1: not a JSON object; is this what nibble-train writes with --metrics?");
  const std::string none =
      "m.jsonl: no step in it; is it what nibble-train writes with --metrics, and has the run "
      "begun?";
  EXPECT_EQ(fault(""), none);
  EXPECT_EQ(fault("\n \n"), none);
  EXPECT_EQ(fault("{\"step\": 0, \"run\": {}}\n"), none);
  std::string many = "{\"step\": 1";
  for (int i = 0; i < 300; ++i) many += ", \"m" + std::to_string(i) + "\": 1";
  EXPECT_EQ(fault(many + "}\n"),
            "m.jsonl:1: more than 256 kinds of numbers; is this what nibble-train writes with "
            "--metrics?");
}

TEST_F(Metrics, ALastLineCutShortIsLeftOut) {
  std::vector<std::string> warnings;
  const ReadOptions options = {.warn = [&](const std::string& w) { warnings.push_back(w); }};
  const RunMetrics run = read_metrics(
      write("m.jsonl", "{\"step\": 1, \"loss\": 2}\n{\"step\": 2, \"loss\": 1.2"), options);
  EXPECT_EQ(run.find("loss")->values, std::vector<double>{2});
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_NE(warnings[0].find("m.jsonl:2: the last line is cut short"), std::string::npos);
}

TEST_F(Metrics, SomeMayBeBad) {
  const std::string text =
      "{\"step\": 1, \"loss\": 2}\nbad}\n{\"step\": 2, \"loss\": \"x\", \"epoch\": 1}\n"
      "{\"step\": 3, \"loss\": 1}\n";
  EXPECT_NE(fault(text, {.skip_bad = 1}), "");
  const RunMetrics run = read_metrics(write("m.jsonl", text), {.skip_bad = 2});
  EXPECT_EQ(run.find("loss")->steps, (std::vector<double>{1, 3}));
  EXPECT_EQ(run.find("epoch"), nullptr);  // nothing of a bad record is taken
}

TEST_F(Metrics, NamesAreWhatDiffers) {
  const auto names = [](std::vector<std::string> paths) {
    std::vector<RunMetrics> runs(paths.size());
    for (size_t i = 0; i < paths.size(); ++i) runs[i].path = paths[i];
    name_runs(runs);
    std::string out;
    for (const RunMetrics& run : runs) out += (out.empty() ? "" : " | ") + run.name;
    return out;
  };
  EXPECT_EQ(names({"out/adapter/metrics.jsonl"}), "adapter");
  EXPECT_EQ(names({"out/first.jsonl.zst"}), "first");
  const fs::path here = fs::current_path();
  EXPECT_EQ(names({"metrics.jsonl"}), here.filename());
  EXPECT_EQ(names({"../metrics.jsonl"}), here.parent_path().filename());
  EXPECT_EQ(names({"-"}), "standard input");
  EXPECT_EQ(names({"s/r4/metrics.jsonl", "s/r16/metrics.jsonl"}), "r4 | r16");
  EXPECT_EQ(names({"a/x/metrics.jsonl", "b/x/metrics.jsonl"}), "a | b");
  EXPECT_EQ(names({"a/x/1.jsonl", "b/x/2.jsonl"}), "a/x/1 | b/x/2");
  EXPECT_EQ(names({"a.jsonl", "a.jsonl"}), "a | a");
}

TEST_F(Metrics, Patterns) {
  write("r1/metrics.jsonl", "{}");
  write("r2/metrics.jsonl", "{}");
  const std::string at = folder().string();
  EXPECT_EQ(expand_patterns({at + "/r?/metrics.jsonl"}),
            (std::vector<std::string>{at + "/r1/metrics.jsonl", at + "/r2/metrics.jsonl"}));
  EXPECT_EQ(expand_patterns({"plain", "-"}), (std::vector<std::string>{"plain", "-"}));
  EXPECT_THROW(expand_patterns({at + "/x*"}), NoInputError);
  write("odd[1].jsonl", "{}");
  EXPECT_EQ(expand_patterns({at + "/odd[1].jsonl"}),
            std::vector<std::string>{at + "/odd[1].jsonl"});
}

TEST(Curves, SmoothingIsAMeanOfNeighbours) {
  EXPECT_EQ(smoothed(std::vector<double>{5, 5, 5}, 0.5), (std::vector<double>{5, 5, 5}));
  EXPECT_EQ(smoothed(std::vector<double>{1, 2, 4}, 0.0), (std::vector<double>{1, 2, 4}));
  const auto s = smoothed(std::vector<double>{1, 3, kNaN, 5}, 0.5);
  EXPECT_DOUBLE_EQ(s[0], (1 + 0.5 * 3 + 0.25 * 5) / 1.75);
  EXPECT_DOUBLE_EQ(s[1], (0.5 * 1 + 3 + 0.5 * 5) / 2);
  EXPECT_TRUE(std::isnan(s[2]));
  EXPECT_DOUBLE_EQ(s[3], (0.25 * 1 + 0.5 * 3 + 5) / 1.75);
  // A straight line stays where it is, but for its ends.
  std::vector<double> line(1000);
  for (size_t i = 0; i < line.size(); ++i) line[i] = 1000.0 - static_cast<double>(i);
  const auto same = smoothed(line, 0.9);
  for (size_t i = 300; i < 700; ++i) EXPECT_NEAR(same[i], line[i], 1e-6);
}

TEST(Curves, ThinningKeepsPeaksEndsAndGaps) {
  Line line;
  for (int i = 0; i < 100'000; ++i) {
    line.x.push_back(i);
    line.y.push_back(i == 33'333 ? 50 : i == 70'001 ? -50 : std::sin(i * 0.37));
  }
  line.y[50'000] = kNaN;
  thin_out(line, 1000);
  EXPECT_LE(line.x.size(), 1100U);
  EXPECT_EQ(
      *std::max_element(line.y.begin(), line.y.end(), [](double a, double b) { return a < b; }),
      50);
  Extent e;
  e.take(line.y);
  EXPECT_EQ(e.low, -50);
  EXPECT_EQ(line.x.front(), 0);
  EXPECT_EQ(line.x.back(), 99'999);
  EXPECT_TRUE(std::is_sorted(line.x.begin(), line.x.end()));
  EXPECT_TRUE(std::any_of(line.y.begin(), line.y.end(), [](double v) { return std::isnan(v); }));
  Line few = {.x = {1, 2, 3}, .y = {1, 2, 3}};
  thin_out(few, 1000);
  EXPECT_EQ(few.x.size(), 3U);
}

TEST(Curves, OneRunAndSeveral) {
  RunMetrics run = run_with("a", {}, 1);
  run.curves.emplace_back("validation_loss", Curve{{3}, {1.5}});
  run.curves.emplace_back("peak_rss", Curve{{1, 2, 3}, {1e6, 2e6, 2e6}});
  run.curves.emplace_back("planned_rss", Curve{{1, 2, 3}, {3e6, 3e6, 3e6}});
  const Figure one = draw_curves(std::vector{run}, {});
  ASSERT_EQ(one.panels.size(), 2U);
  const auto& loss = std::get<LinePanel>(one.panels[0]);
  EXPECT_EQ(loss.lines.back().name, "validation");
  const auto& memory = std::get<LinePanel>(one.panels[1]);
  ASSERT_EQ(memory.lines.size(), 2U);
  EXPECT_EQ(memory.lines[1].y, (std::vector<double>{3e6, 3e6}));
  EXPECT_EQ(memory.lines[1].stroke, Stroke::kDashed);
  const Figure two = draw_curves(std::vector{run, run_with("b", {}, 2)}, {});
  EXPECT_EQ(two.panels.size(), 3U);
  EXPECT_EQ(two.legend.size(), 2U);
  try {
    draw_curves(std::vector{run}, {.show = {"lss"}});
    FAIL();
  } catch (const UsageError& e) {
    EXPECT_STREQ(e.what(),
                 "--show: \"lss\" is no metric of the run; it has loss, validation_loss, "
                 "peak_rss, planned_rss");
  }
}

TEST(Curves, WhatWasPlannedIsOfTheDeviceThatComputes) {
  RunMetrics run = run_with("a", {}, 1);
  run.curves.emplace_back("peak_rss", Curve{{1, 2, 3}, {5e6, 5e6, 5e6}});
  run.curves.emplace_back("peak_device", Curve{{1, 2, 3}, {1e6, 2e6, 2e6}});
  run.curves.emplace_back("planned_device", Curve{{1, 2, 3}, {3e6, 3e6, 3e6}});
  const Figure figure = draw_curves(std::vector{run}, {});
  ASSERT_EQ(figure.panels.size(), 3U);
  EXPECT_EQ(std::get<LinePanel>(figure.panels[1]).lines.size(), 1U);
  const auto& device = std::get<LinePanel>(figure.panels[2]);
  EXPECT_EQ(device.title, "device memory");
  ASSERT_EQ(device.lines.size(), 2U);
  EXPECT_EQ(device.lines[1].y, (std::vector<double>{3e6, 3e6}));
  const BarPanel bars = memory_bars(run);
  ASSERT_EQ(bars.marks.size(), 2U);
  EXPECT_EQ(bars.marks[0].second, 3e6);
  EXPECT_EQ(bars.marks[1].second, 2e6);
}

TEST(Curves, AlongEpochsTokensAndTime) {
  RunMetrics run = run_with("a", {}, 1);
  run.curves.emplace_back("epoch", Curve{{1, 2, 3}, {0.5, 1, 1.5}});
  run.curves.emplace_back("tokens", Curve{{1, 2, 3}, {600, 600, 1200}});
  run.curves.emplace_back("tokens_per_second", Curve{{1, 2, 3}, {10, 10, 20}});
  const auto x = [&](Abscissa a) {
    const Figure f = draw_curves(std::vector{run}, {.show = {"loss"}, .x = a, .smoothing = 0});
    return std::get<LinePanel>(f.panels[0]).lines.back().x;
  };
  EXPECT_EQ(x(Abscissa::kStep), (std::vector<double>{1, 2, 3}));
  EXPECT_EQ(x(Abscissa::kEpoch), (std::vector<double>{0.5, 1, 1.5}));
  EXPECT_EQ(x(Abscissa::kTokens), (std::vector<double>{600, 1200, 2400}));
  EXPECT_EQ(x(Abscissa::kTime), (std::vector<double>{1, 2, 3}));
}

TEST(Sweep, OptionsThatDiffer) {
  const auto run = [](const char* rank, const char* alpha, const char* rate, const char* seed) {
    return run_with("r",
                    {{"rank", rank},
                     {"alpha", alpha},
                     {"learning-rate", rate},
                     {"seed", seed},
                     {"out", std::string(rank) + rate}},
                    1);
  };
  // Alpha goes with the rank, seed and folder change nothing.
  EXPECT_EQ(differing_options(std::vector{run("4", "8", "0.1", "1"), run("8", "16", "0.1", "2"),
                                          run("8", "16", "0.2", "3")}),
            (std::vector<std::string>{"rank", "learning-rate"}));
  EXPECT_EQ(differing_options(std::vector{run("4", "8", "0.1", "1"), run("4", "16", "0.1", "1")}),
            std::vector<std::string>{"alpha"});
  EXPECT_TRUE(differing_options(std::vector{run("4", "8", "0.1", "1")}).empty());
}

TEST(Sweep, HeatMapWithMeansAndHoles) {
  const auto run = [](const char* rank, const char* rate, const char* seed, double loss) {
    return run_with("r", {{"rank", rank}, {"learning-rate", rate}, {"seed", seed}}, loss);
  };
  const std::vector runs = {run("16", "0.01", "1", 1), run("16", "0.01", "2", 3),
                            run("4", "0.01", "1", 5), run("4", "0.001", "1", 9)};
  const Figure f = draw_sweep(runs, {});
  ASSERT_EQ(f.panels.size(), 2U);
  const auto& m = std::get<MatrixPanel>(f.panels[0]);
  EXPECT_EQ(m.rows, (std::vector<std::string>{"4", "16"}));  // by size, not by letter
  EXPECT_EQ(m.columns, (std::vector<std::string>{"0.001", "0.01"}));
  EXPECT_EQ(m.cells[0][0].value, 9);
  EXPECT_EQ(m.cells[0][1].value, 5);
  EXPECT_EQ(m.cells[1][0].tint, Tint::kNone);
  EXPECT_EQ(m.cells[1][1].value, 2);
  EXPECT_EQ(f.subtitle, "4 runs; best 1.000 at rank=16 learning-rate=0.01");
  const auto& lines = std::get<LinePanel>(f.panels[1]);
  ASSERT_EQ(lines.lines.size(), 2U);
  EXPECT_EQ(lines.lines[0].name, "rank 4");
  EXPECT_EQ(lines.lines[0].y, (std::vector<double>{9, 5}));
}

TEST(Sweep, Refusals) {
  const auto text = [](const std::vector<RunMetrics>& runs, const SweepOptions& o) -> std::string {
    try {
      draw_sweep(runs, o);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  const std::vector two = {run_with("a", {{"rank", "1"}}, 1), run_with("b", {{"rank", "2"}}, 2)};
  EXPECT_EQ(text(two, {.options = {"rnk"}}),
            "--sweep: \"rnk\" is no option of these runs; they differ in rank");
  EXPECT_EQ(text(two, {.metric = "bleu"}),
            "--metric: no run has \"bleu\"; name one of those that --to=table shows");
  EXPECT_EQ(text({two[0], two[0]}, {}), "--sweep: the runs do not differ in an option");
  EXPECT_NE(text(two, {.options = {"rank", "a", "b", "c"}}).find("three options at most"),
            std::string::npos);
  EXPECT_NE(text({RunMetrics{}}, {}).find("do not tell the runs' options"), std::string::npos);
}

TEST(Sweep, TableIsRanked) {
  const std::vector runs = {run_with("worse", {{"rank", "1"}}, 2),
                            run_with("better", {{"rank", "2"}}, 1)};
  EXPECT_EQ(table_text(table_of(runs, "")),
            "run     rank  steps   loss\n"
            "better     2      3  1.000\n"
            "worse      1      3  2.000\n");
  const Json json = table_json(runs, "");
  EXPECT_EQ(json.as_array()[0].at("run").as_string(), "better");
  EXPECT_EQ(json.as_array()[0].at("loss").as_number(), 1.0);
  EXPECT_EQ(json.as_array()[1].at("options").at("rank").as_string(), "1");
}

class Following : public Metrics {
 protected:
  static std::string step(int i) { return cat("{\"step\": ", i, ", \"loss\": ", 10 - i, "}\n"); }
  void append(const std::string& text) {
    FILE* f = std::fopen(path().c_str(), "a");
    ASSERT_NE(f, nullptr);
    std::fwrite(text.data(), 1, text.size(), f);
    std::fclose(f);
  }
  std::string path() const { return (folder() / "m.jsonl").string(); }
  static std::vector<double> losses(const FollowedRuns& followed) {
    const auto runs = followed.runs();
    return runs.empty() ? std::vector<double>{} : runs[0].find("loss")->values;
  }
};

TEST_F(Following, GrowsByWholeLines) {
  FollowedRuns followed({path()}, {});
  EXPECT_FALSE(followed.look());  // not there yet
  EXPECT_TRUE(followed.runs().empty());
  append("{\"step\": 0, \"run\": {\"steps\": 3}}\n" + step(1));
  EXPECT_TRUE(followed.look());
  EXPECT_EQ(losses(followed), std::vector<double>{9});
  append("{\"step\": 2, \"lo");
  EXPECT_FALSE(followed.look());
  append("ss\": 8}\n{\"ste");
  EXPECT_TRUE(followed.look());
  EXPECT_EQ(losses(followed), (std::vector<double>{9, 8}));
  EXPECT_FALSE(followed.finished());
  append("p\": 3, \"loss\": 7}\n");
  EXPECT_TRUE(followed.look());
  EXPECT_TRUE(followed.finished());
  EXPECT_FALSE(followed.look());
}

TEST_F(Following, TruncatedReplacedRewrittenAndGone) {
  FollowedRuns followed({path()}, {});
  append(step(1) + step(2) + step(3));
  followed.look();
  fs::resize_file(path(), 0);  // truncated
  append(step(1));
  EXPECT_TRUE(followed.look());
  EXPECT_EQ(losses(followed), std::vector<double>{9});
  write_text_file(path(), step(1) + step(2));  // renamed into its place, and longer
  EXPECT_TRUE(followed.look());
  EXPECT_EQ(losses(followed), (std::vector<double>{9, 8}));
  fs::resize_file(path(), 0);  // truncated, and longer than before when next looked at
  append("{\"step\": 1, \"loss\": 5}\n" + step(2) + step(3) + step(4));
  EXPECT_TRUE(followed.look());
  EXPECT_EQ(losses(followed), (std::vector<double>{5, 8, 7, 6}));
  fs::remove(path());
  EXPECT_FALSE(followed.look());
  EXPECT_EQ(losses(followed).size(), 4U);  // what was seen stays to be seen
  append(step(1));
  EXPECT_TRUE(followed.look());
  EXPECT_EQ(losses(followed), std::vector<double>{9});
}

TEST_F(Following, Faults) {
  append(step(1) + "bad\n");
  FollowedRuns followed({path()}, {});
  EXPECT_THROW(followed.look(), DataError);
  FollowedRuns lenient({path()}, {.skip_bad = 1});
  EXPECT_TRUE(lenient.look());
  EXPECT_THROW(FollowedRuns({"-"}, {}), UsageError);
  fs::create_directory(folder() / "sub");
  FollowedRuns waits({(folder() / "sub").string()}, {});  // its metrics.jsonl is yet to come
  EXPECT_FALSE(waits.look());
}

TEST(Report, EverythingIsEscaped) {
  const std::string evil = "<script>alert('x')</script>\"&";
  RunMetrics run = run_with(evil, {{evil, evil}}, 1);
  run.run.set("plan", Json::object({{evil, 1000000}}));
  run.run.set("command", evil);
  run.run.set("version", evil);
  run.curves.emplace_back(evil, Curve{{1}, {2}});
  run.curves.emplace_back("planned_rss", Curve{{1}, {1e6}});
  try {
    const std::string html = html_report({run}, {.version = evil});
    EXPECT_EQ(html.find("<script"), std::string::npos);
    EXPECT_EQ(html.find("alert('x')"), std::string::npos);
    EXPECT_NE(html.find("&lt;script&gt;alert(&#39;x&#39;)"), std::string::npos);
    EXPECT_NE(html.find("<svg"), std::string::npos);
    EXPECT_EQ(html.find("<?xml"), std::string::npos);
  } catch (const UnavailableError&) {
    GTEST_SKIP() << "gnuplot is not installed";
  }
}

}  // namespace
}  // namespace nibble::test
