// SPDX-License-Identifier: Apache-2.0
// nibble-plot draws what nibble-train's metrics tell: curves of one run or several, a sweep over
// their options, a report. It reads metrics (JSON lines) and writes to the terminal, or SVG, PNG,
// HTML, a table, or TensorBoard event files.
//
//   nibble-plot adapter/metrics.jsonl -o adapter.svg
#include <unistd.h>

#include <chrono>
#include <thread>

#include "cli/tool.h"
#include "plot/follow.h"
#include "plot/image.h"
#include "plot/report.h"
#include "plot/sweep.h"
#include "plot/tensorboard.h"
#include "plot/text_drawing.h"

namespace {

using namespace nibble;

constexpr int64_t kAll = 1'000'000'000'000'000'000;

struct Options {
  std::vector<std::string> files, show, sweep;
  std::string out, to = "auto", x = "step", scale = "auto", metric, title, completions;
  std::string glyphs = "auto", color = "auto";
  std::optional<double> smooth;
  bool follow = false;
  int64_t width = 0, height = 0, samples = 8, skip_bad = 0;
};

void declare(OptionTable& t, Options& o) {
  t.positional("METRICS", o.files, "metrics, run folders, or quoted patterns; - standard input");
  t.out(o.out, "the drawing, by its ending .svg, .png or .html; a folder for TensorBoard");
  t.add("to", "FORM", o.to, "form of the output, where the ending does not tell")
      .choices({"auto", "terminal", "table", "svg", "png", "html", "tensorboard"});
  t.group("What is drawn");
  t.add("show", "LIST", o.show, "metrics, a panel each").default_is("all that there are");
  t.add("x", "WHAT", o.x, "what curves run along").choices({"step", "epoch", "tokens", "time"});
  t.add("smooth", "X", o.smooth, "weight of a neighbour in smoothed curves; 0: none")
      .range(0, 0.9999)
      .default_is("over 1/50 of the run to either side");
  t.add("scale", "HOW", o.scale, "of losses and norms; auto: log where values spread 20-fold")
      .choices({"auto", "linear", "log"});
  t.add("sweep", "LIST", o.sweep, "compare runs by up to three of their options, heat map or lines")
      .optional_value("auto");
  t.add("metric", "NAME", o.metric, "what --sweep and --to=table judge runs by")
      .default_is("validation_loss, or loss");
  t.add("title", "TEXT", o.title, "title of the drawing");
  t.add("completions", "FILE", o.completions, "show some in an .html report (nibble-generate)");
  t.add("samples", "N", o.samples, "how many of them").range(1, 1000);
  t.group("How");
  t.flag("follow", o.follow, "draw again as the files grow, until the runs' last step");
  t.add("width", "N", o.width, "pixels of an image, columns of text; 0: as fits").range(0, 10000);
  t.add("height", "N", o.height, "pixels of an image, rows of text; 0: as fits").range(0, 20000);
  t.add("glyphs", "SET", o.glyphs, "what terminal curves are made of")
      .choices({"auto", "braille", "blocks", "ascii"});
  t.add("color", "WHEN", o.color, "colours in text").choices({"auto", "always", "never"});
  t.add("skip-bad", "N", o.skip_bad, "leave out records that cannot be read, N at most")
      .range(0, kAll)
      .optional_value(std::to_string(kAll));
}

// svg, png, html, table, terminal or tensorboard.
std::string form_of(const Options& o) {
  if (o.to != "auto") return o.to;
  if (o.out.empty() || o.out == "-") return "terminal";
  for (const char* form : {"svg", "png", "html"})
    if (o.out.ends_with(cat(".", form))) return form;
  if (o.out.ends_with(".txt")) return "terminal";
  throw UsageError(
      cat("--out=", o.out, ": its ending tells no form (.svg, .png, .html); add --to"));
}

CurveOptions curve_options(const Options& o) {
  return {.show = o.show,
          .x = o.x == "epoch"    ? Abscissa::kEpoch
               : o.x == "tokens" ? Abscissa::kTokens
               : o.x == "time"   ? Abscissa::kTime
                                 : Abscissa::kStep,
          .smoothing = o.smooth.value_or(-1.0),
          .scale = o.scale == "linear" ? Scale::kLinear
                   : o.scale == "log"  ? Scale::kLog
                                       : Scale::kAuto,
          .title = o.title};
}

Figure figure_of(const std::vector<RunMetrics>& runs, const Options& o, bool sweep) {
  if (!sweep) return draw_curves(runs, curve_options(o));
  const bool named = o.sweep != std::vector<std::string>{"auto"};
  return draw_sweep(runs, {.options = named ? o.sweep : std::vector<std::string>{},
                           .metric = o.metric,
                           .title = o.title});
}

std::string as_text(const Figure& figure, const Options& o) {
  TextOptions text = standard_output_options();
  if (!o.out.empty() && o.out != "-") text.colours = Colours::kNone, text.rows = 0;
  if (o.width > 0) text.columns = static_cast<int>(o.width);
  if (o.height > 0) text.rows = static_cast<int>(o.height);
  if (o.color == "never") text.colours = Colours::kNone;
  if (o.color == "always" && text.colours == Colours::kNone) text.colours = Colours::k256;
  text.marks = o.glyphs == "auto";
  if (o.glyphs != "auto")
    text.glyphs = o.glyphs == "braille"  ? Glyphs::kBraille
                  : o.glyphs == "blocks" ? Glyphs::kBlocks
                                         : Glyphs::kAscii;
  return draw_text(figure, text);
}

std::string drawn(const std::vector<RunMetrics>& runs, const Options& o, const std::string& form,
                  const ToolContext& context) {
  if (context.json) return table_json(runs, o.metric).dump(1) + "\n";
  if (form == "table") return table_text(table_of(runs, o.metric));
  if (form == "html")
    return html_report(runs, {.curves = curve_options(o),
                              .metric = o.metric,
                              .completions = o.completions,
                              .samples = o.samples,
                              .version = version()});
  const Figure figure = figure_of(runs, o, context.table->given("sweep"));
  if (form == "terminal") return as_text(figure, o);
  return draw_image(figure, {.format = form == "png" ? ImageFormat::kPng : ImageFormat::kSvg,
                             .width = o.width > 0 ? static_cast<int>(o.width) : 1200,
                             .height = static_cast<int>(o.height)});
}

void write(const std::string& out, const std::string& text) {
  if (out.empty() || out == "-")
    write_stdout(text);
  else
    write_text_file(out, text);
}

void follow(const std::vector<std::string>& files, const Options& o, const std::string& form,
            const ReadOptions& read, const ToolContext& context) {
  const bool screen = form == "terminal" && (o.out.empty() || o.out == "-");
  if (screen ? ::isatty(STDOUT_FILENO) != 1 : o.out.empty() || o.out == "-")
    throw UsageError("--follow draws again and again: on a terminal, or give -o FILE");
  FollowedRuns followed(files, read);
  TextOptions last;
  for (bool first = true;; first = false) {
    const TextOptions now = standard_output_options();
    const bool resized = screen && (now.columns != last.columns || now.rows != last.rows);
    last = now;
    const bool news = followed.look();
    const auto runs = followed.runs();
    if (!runs.empty() && (news || resized)) {
      // To the top left, over what stands there, and what is left of it away.
      const std::string text = drawn(runs, o, form, context);
      if (screen)
        write_stdout(cat(first || resized ? "\x1b[2J" : "", "\x1b[H", text, "\x1b[J"));
      else
        write(o.out, text);
    } else if (runs.empty() && first) {
      context.say("waits for the first step");
    }
    if (followed.finished()) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
}

void run(const Options& o, ToolContext& context) {
  if (o.files.empty()) throw UsageError("no METRICS; name a metrics file or a run's folder");
  const std::string form = form_of(o);
  if (form == "png" && (o.out.empty() || o.out == "-")) refuse_terminal("PNG");
  if (form == "tensorboard" && (o.out.empty() || o.out == "-" || o.follow))
    throw UsageError("--to=tensorboard writes a folder, once: give -o DIR/ and no --follow");
  if (!o.completions.empty() && form != "html")
    throw UsageError("--completions are shown in a report; give -o FILE.html");
  const ReadOptions read = {.skip_bad = o.skip_bad,
                            .warn = [&](const std::string& text) { context.warn(text); }};
  refuse_to_replace(o.out, o.files);
  if (o.follow) return follow(expand_patterns(o.files), o, form, read, context);
  // Before the work, so that an output that cannot be made is told at once.
  std::optional<AtomicFile> file;
  if (form != "tensorboard" && !o.out.empty() && o.out != "-") file.emplace(o.out);
  std::vector<RunMetrics> runs;
  for (const std::string& path : expand_patterns(o.files)) runs.push_back(read_metrics(path, read));
  name_runs(runs);
  if (form == "tensorboard") return write_event_folder(o.out, runs);
  const std::string text = drawn(runs, o, form, context);
  if (!file) return write_stdout(text);
  file->write(text);
  file->commit();
}

}  // namespace

int main(int argc, char** argv) {
  return run_tool<Options>(
      argc, argv,
      {.name = "nibble-plot",
       .summary = "draw what runs did: curves, sweeps, reports, TensorBoard event files",
       .synopsis = "METRICS... [-o FILE.svg|.png|.html] [OPTION...]",
       .description =
           "Reads the metrics of nibble-train (OUT/metrics.jsonl, or a run's folder OUT/) and "
           "draws "
           "loss, validation, learning rate, gradient norm, speed and memory; several runs over "
           "each other. Without -o it draws in the terminal, in braille dots. gnuplot "
           "(gnuplot-nox) draws SVG and PNG.",
       .examples = {{"nibble-plot adapter/ --follow", "watch a run in the terminal"},
                    {"nibble-plot 'sweep/*/metrics.jsonl' --sweep=rank,learning-rate -o sweep.svg",
                     "a heat map of what runs came to, by their own options"},
                    {"nibble-plot adapter/ -o report.html --completions=answers.jsonl",
                     "a page with options, memory, curves and some completions"},
                    {"nibble-plot run-*/ --to=tensorboard -o events/", "for TensorBoard"}},
       .exit_codes = {{65, "bad data: a metrics line that cannot be read (--skip-bad)"},
                      {69, "gnuplot is not installed"}},
       .reports = true},
      declare, run);
}
