#include "admin/feed.h"

#include "admin/json_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <optional>

namespace weir::admin {
namespace {

// How often the figures are looked at while somebody watches. Looking and telling may take this
// part of one core at most: with very many streams, or on a slow machine, it happens less often.
constexpr Duration kLookMin = std::chrono::seconds(1);
constexpr Duration kLookMax = std::chrono::seconds(10);
constexpr int kLookShare = 200;
// A reader hears the time at least so often, and knows by that that weir is alive.
constexpr Duration kBeat = std::chrono::seconds(10);
// Before this much was seen of the disk, nothing is said about when it will be full.
constexpr Duration kDiskSeenMin = std::chrono::minutes(5);
// Of these many streams that went away a reader hears one by one; beyond, it begins anew.
constexpr std::size_t kGoneMax = 1'000;
constexpr std::size_t kNumbersMax = 200;

double as_seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

// What moves all the time without meaning anything is shown in steps.
std::int64_t in_steps_of(std::int64_t value, std::int64_t step) { return value / step * step; }

}  // namespace

void Rate::add(double amount, double seconds) {
  if (seconds <= 0) return;
  // By then it is down to a quarter of a percent, and would creep on for ever.
  constexpr double kForgottenAfter = 6;
  value_ += (1 - std::exp(-seconds / memory_seconds_)) * (amount / seconds - value_);
  quiet_seconds_ = amount == 0 ? quiet_seconds_ + static_cast<float>(seconds) : 0;
  if (quiet_seconds_ > kForgottenAfter * memory_seconds_) value_ = 0;
}

double seconds_until_gone(std::int64_t amount, double per_second) {
  constexpr double kLeast = 0.01;
  return amount > 0 && per_second >= kLeast ? static_cast<double>(amount) / per_second : 0;
}

Feed::Feed(FigureSources sources, Terms terms, Clock& clock)
    : sources_(std::move(sources)),
      terms_(terms),
      clock_(clock),
      looked_(clock.now()),
      stepped_(clock.now()) {}

Duration Feed::interval() const { return std::clamp(spent_ * kLookShare, kLookMin, kLookMax); }

void Feed::look_if_due() {
  if (looks_ == 0 || clock_.now() - looked_ >= interval()) look();
}

void Feed::look() {
  const Instant began = clock_.now();
  const double seconds = looks_ == 0 ? 0 : as_seconds(began - looked_);
  looked_ = began;
  if (looks_ == 0) first_look_ = began;
  ++looks_;
  std::uint64_t after = 0;
  while (auto stream = sources_.next_stream(after)) {
    after = stream->id;
    look_at(*stream, seconds);
  }
  forget_what_is_gone();
  look_at_weir(seconds);
  spent_ = clock_.now() - began;
}

void Feed::look_at(const StreamFigures& stream, double seconds) {
  const auto found = streams_.try_emplace(stream.id, history_clock_);
  StreamState& state = found.first->second;
  const bool is_new = found.second;
  state.seen = looks_;
  if (!is_new) {
    const std::int64_t change = stream.bytes - state.bytes;
    state.in.add(static_cast<double>(std::max<std::int64_t>(0, stream.next - state.next)), seconds);
    // What was removed meanwhile is not known in bytes: then the rate stays as it is.
    if (stream.oldest == state.oldest) {
      state.in_bytes.add(static_cast<double>(std::max<std::int64_t>(0, change)), seconds);
    }
    state.growth.add(static_cast<double>(change), seconds);
  } else {
    state.next_at_step = stream.next;
  }
  state.next = stream.next;
  state.oldest = stream.oldest;
  state.bytes = stream.bytes;

  std::erase_if(state.exports, [&](const ExportState& old) {
    return std::none_of(stream.exports.begin(), stream.exports.end(),
                        [&](const auto& now) { return now.identifier == old.identifier; });
  });
  for (const auto& figures : stream.exports) {
    auto one = std::find_if(
        state.exports.begin(), state.exports.end(),
        [&](const ExportState& each) { return each.identifier == figures.identifier; });
    const bool is_new_export = one == state.exports.end();
    if (is_new_export) {
      state.exports.emplace_back(figures.identifier, history_clock_);
      one = std::prev(state.exports.end());
    }
    look_at(*one, figures, seconds, is_new_export);
  }
  std::string text;
  JsonText json(text);
  write_row(json, state, stream);
  const std::size_t digest = std::hash<std::string>{}(text);
  if (is_new || digest != state.digest) state.version = looks_;
  state.digest = digest;
}

void Feed::look_at(ExportState& state, const ExportFigures& figures, double seconds,
                   bool is_new) const {
  if (is_new) {
    state.exported_at_step = figures.exported_messages;
  } else {
    const auto more = [](std::int64_t now, std::int64_t before) {
      return static_cast<double>(std::max<std::int64_t>(0, now - before));
    };
    state.out.add(more(figures.exported_messages, state.exported_messages), seconds);
    state.out_bytes.add(more(figures.exported_bytes, state.exported_bytes), seconds);
  }
  // What the engine tells is the time of the last try, which is another thing after a failure.
  if (figures.failures_in_a_row == 0 && figures.exported_messages > 0) {
    state.last_sent_ms = figures.last_export_ms;
  } else if (!is_new && figures.exported_messages > state.exported_messages) {
    state.last_sent_ms = clock_.wall_ms();
  }
  state.exported_messages = figures.exported_messages;
  state.exported_bytes = figures.exported_bytes;
  state.waiting_messages = figures.waiting_messages;
  // It was computed from a countdown and trembles.
  constexpr std::int64_t kTrembleMs = 1'000;
  if (std::abs(figures.next_try_ms - state.next_try_ms) >= kTrembleMs) {
    state.next_try_ms = figures.next_try_ms;
  }
}

void Feed::look_at_weir(double seconds) {
  const std::int64_t free_before = weir_.disk_free_bytes;
  weir_ = sources_.weir();
  if (looks_ > 1) {
    disk_use_.add(static_cast<double>(free_before - weir_.disk_free_bytes), seconds);
  }
  const std::string text = weir_json();
  const std::size_t digest = std::hash<std::string>{}(text);
  if (digest != weir_digest_) weir_version_ = looks_;
  weir_digest_ = digest;
}

void Feed::forget_what_is_gone() {
  for (auto at = streams_.begin(); at != streams_.end();) {
    if (at->second.seen == looks_) {
      ++at;
      continue;
    }
    gone_.emplace_back(looks_, at->first);
    at = streams_.erase(at);
  }
  if (gone_.size() > kGoneMax) {
    const auto surplus = static_cast<std::ptrdiff_t>(gone_.size() - kGoneMax);
    gone_complete_since_ = gone_[static_cast<std::size_t>(surplus) - 1].first;
    gone_.erase(gone_.begin(), gone_.begin() + surplus);
  }
}

void Feed::step() {
  look();
  history_clock_.begin_step();
  const double seconds = as_seconds(looked_ - stepped_);
  stepped_ = looked_;
  for (auto& [id, state] : streams_) {
    const auto rate = [&](std::int64_t now, std::int64_t before) {
      const auto more = static_cast<double>(std::max<std::int64_t>(0, now - before));
      return seconds > 0 ? more / seconds : 0;
    };
    state.appended.add(rate(state.next, state.next_at_step));
    state.next_at_step = state.next;
    state.stored.add(static_cast<double>(state.bytes));
    for (auto& one : state.exports) {
      one.sent.add(rate(one.exported_messages, one.exported_at_step));
      one.exported_at_step = one.exported_messages;
      one.waiting.add(static_cast<double>(one.waiting_messages));
    }
  }
}

void Feed::write_row(JsonText& json, const StreamState& state, const StreamFigures& stream) {
  const double growth = state.growth.per_second();
  json.open('{')
      .member("id", static_cast<std::int64_t>(stream.id))
      .member("name", stream.name)
      .flag_if("memory", stream.in_memory)
      .flag_if("overwrites", stream.overwrites)
      .member_if("ttl_ms", stream.time_to_live_ms)
      .member("oldest", stream.oldest)
      .member("next", stream.next)
      .member_if("oldest_ms", stream.oldest_ms)
      .member_if("newest_ms", stream.newest_ms)
      .member("bytes", stream.bytes)
      .member("bytes_max", stream.bytes_max)
      .member_if("fault", stream.fault)
      .member_if("lost", stream.lost_messages);
  json.key("in").rate(state.in.per_second());
  json.key("in_bytes").rate(state.in_bytes.per_second());
  json.key("full_s").rate(seconds_until_gone(stream.bytes_max - stream.bytes, growth));
  json.key("exports").open('[');
  for (const ExportFigures& one : stream.exports) {
    const auto known =
        std::find_if(state.exports.begin(), state.exports.end(),
                     [&](const ExportState& each) { return each.identifier == one.identifier; });
    if (known == state.exports.end()) continue;
    write_export(json, *known, one, state.in.per_second());
  }
  json.close(']').close('}');
}

void Feed::write_export(JsonText& json, const ExportState& state, const ExportFigures& one,
                        double in) {
  const double out = state.out.per_second();
  json.open('{')
      .member("name", one.identifier)
      .member("type", one.type)
      .member_if("target", one.target)
      .member_if("redirected_to", one.redirected_to)
      .member("state", one.state)
      .member_if("reason", one.reason)
      .member_if("error", one.last_error)
      .member_if("failure", one.failure_class)
      .member_if("failures", one.failures_in_a_row)
      .member_if("next_try_ms", state.next_try_ms)
      .member("waiting", one.waiting_messages)
      .member_if("waiting_bytes", one.waiting_bytes)
      .member_if("oldest_ms", one.oldest_waiting_ms)
      .member("sent", one.exported_messages)
      .member("last", one.last_exported)
      .member_if("last_ms", state.last_sent_ms)
      .member_if("skipped", one.skipped_messages)
      .member_if("dead_letters", one.dead_letters)
      .member_if("lost", one.lost_messages)
      .flag_if("paused", one.paused);
  json.key("out").rate(out);
  json.key("out_bytes").rate(state.out_bytes.per_second());
  json.key("drain_s").rate(seconds_until_gone(one.waiting_messages, out - in));
  json.close('}');
}

std::string Feed::weir_json() const {
  constexpr std::int64_t kMiB = std::int64_t{1} << 20;
  const double disk_use = disk_use_.per_second();
  std::string text;
  JsonText json(text);
  json.open('{')
      .member("version", weir_.version)
      .member("host", weir_.host)
      .member("store", weir_.store_directory)
      .member("started_ms", weir_.started_ms)
      .member("port", weir_.server_port)
      .member("connections", weir_.connections)
      .member("disk_free", in_steps_of(weir_.disk_free_bytes, kMiB))
      .member("disk_total", weir_.disk_total_bytes)
      .member("memory", in_steps_of(weir_.memory_bytes, kMiB / 4))
      .flag_if("stuck", !weir_.live)
      .flag_if("starting", weir_.live && !weir_.ready)
      .flag_if("actions", terms_.actions)
      .flag_if("payloads_need_token", terms_.payloads_need_token);
  // Below a mebibyte in a minute it is noise of other programs.
  constexpr double kWorthSaying = static_cast<double>(kMiB) / 60;
  const bool says = looked_ - first_look_ >= kDiskSeenMin && disk_use >= kWorthSaying;
  json.key("disk_full_s").rate(says ? seconds_until_gone(weir_.disk_free_bytes, disk_use) : 0);
  json.key("credentials").open('[');
  for (const auto& one : weir_.credentials) {
    json.open('{').member_if("role", one.role).member_if("source", one.source);
    json.member_if("error", one.error).flag_if("have", one.have);
    json.member_if("expires_ms", one.expires_ms).close('}');
  }
  json.close(']').key("connectors").open('[');
  for (const auto& one : weir_.connectors) {
    json.open('{').member("name", one.name).member("broker", one.broker);
    json.member("state", one.state).member_if("reason", one.reason);
    json.member_if("unacknowledged", one.unacknowledged_messages).close('}');
  }
  json.close(']').key("unavailable").open('[');
  for (const auto& one : weir_.unavailable) {
    json.open('{').member("name", one.name).member("reason", one.reason).close('}');
  }
  json.close(']').close('}');
  return text;
}

// One page's place in all this: what it was told last.
class Feed::Reader final : public EventSource {
 public:
  explicit Reader(Feed& feed) : feed_(feed), told_at_(feed.clock_.now()) {}

  bool more(std::string& out, std::size_t bytes_max) override {
    const std::size_t before = out.size();
    feed_.look_if_due();
    if (!in_pass_) begin_pass(out);
    if (in_pass_) {
      const Instant began = feed_.clock_.now();
      rows(out, bytes_max);
      feed_.spent_ += feed_.clock_.now() - began;
    }
    if (!in_pass_) warnings(out);
    const Instant now = feed_.clock_.now();
    if (out.size() == before && now - told_at_ >= kBeat) {
      append_event(out, "beat", "{\"now_ms\":" + std::to_string(feed_.clock_.wall_ms()) + "}");
    }
    if (out.size() != before) told_at_ = now;
    return true;
  }

  [[nodiscard]] Duration pause() const override {
    return in_pass_ ? Duration::zero() : feed_.interval();
  }

 private:
  void begin_pass(std::string& out) {
    if (seen_ == feed_.looks_) return;
    if (seen_ == 0 || seen_ < feed_.gone_complete_since_) {
      seen_ = 0;
      std::string data;
      JsonText json(data);
      json.open('{').member("now_ms", feed_.clock_.wall_ms());
      json.member("step_ms", HistoryClock::kStepMs);
      json.member("streams", static_cast<std::int64_t>(feed_.streams_.size())).close('}');
      append_event(out, "begin", data);
    }
    if (feed_.weir_version_ > seen_) append_event(out, "weir", feed_.weir_json());
    in_pass_ = true;
    pass_ = feed_.looks_;
    next_ = 0;
  }

  void rows(std::string& out, std::size_t bytes_max) {
    std::string data;
    JsonText json(data);
    json.open('{').member("now_ms", feed_.clock_.wall_ms()).key("rows").open('[');
    bool any = false;
    auto at = feed_.streams_.upper_bound(next_);
    for (; at != feed_.streams_.end() && out.size() + data.size() < bytes_max; ++at) {
      next_ = at->first;
      if (at->second.version <= seen_) continue;
      const auto figures = feed_.sources_.next_stream(at->first - 1);
      if (!figures || figures->id != at->first) continue;  // it has just gone
      feed_.write_row(json, at->second, *figures);
      any = true;
    }
    json.close(']');
    in_pass_ = at != feed_.streams_.end();
    if (!in_pass_) any = gone(json) || any;
    // A page that has begun waits to hear that this was all.
    if (!in_pass_ && seen_ == 0) {
      json.flag_if("complete", true);
      any = true;
    }
    json.close('}');
    if (any) append_event(out, "rows", data);
    if (!in_pass_) seen_ = pass_;
  }

  bool gone(JsonText& json) const {
    bool any = false;
    for (const auto& [version, id] : feed_.gone_) {
      if (version <= seen_ || seen_ == 0) continue;
      if (!any) json.key("gone").open('[');
      json.number(static_cast<std::int64_t>(id));
      any = true;
    }
    if (any) json.close(']');
    return any;
  }

  void warnings(std::string& out) {
    const auto fresh = feed_.sources_.warnings(warned_);
    if (fresh.empty()) return;
    std::string data;
    JsonText json(data);
    json.open('[');
    for (const auto& one : fresh) {
      json.open('{').member("number", static_cast<std::int64_t>(one.number));
      json.member("ms", one.wall_ms).flag_if("error", one.is_error).member("text", one.text);
      json.close('}');
      warned_ = one.number;
    }
    json.close(']');
    append_event(out, "warnings", data);
  }

  Feed& feed_;
  Instant told_at_;
  std::uint64_t seen_ = 0;  // everything up to this look was told; 0 = nothing
  bool in_pass_ = false;
  std::uint64_t pass_ = 0;  // the look at which the present round of rows began
  std::uint64_t next_ = 0;  // the stream it has come to
  std::uint64_t warned_ = 0;
};

std::unique_ptr<EventSource> Feed::reader() { return std::make_unique<Reader>(*this); }

std::string Feed::history(std::string_view numbers, bool short_only) const {
  std::string text;
  JsonText json(text);
  json.open('{').member("now_ms", clock_.wall_ms()).member("step_ms", HistoryClock::kStepMs);
  json.member("long_step_ms",
              HistoryClock::kStepMs * static_cast<std::int64_t>(HistoryClock::kStepsPerLong));
  json.key("streams").open('[');
  for (std::size_t count = 0; !numbers.empty() && count < kNumbersMax; ++count) {
    std::uint64_t id = 0;
    const auto part = numbers.substr(0, numbers.find(','));
    numbers.remove_prefix(std::min(numbers.size(), part.size() + 1));
    std::from_chars(part.data(), part.data() + part.size(), id);
    const auto found = streams_.find(id);
    if (found == streams_.end()) continue;
    write_history(json, id, found->second, short_only);
  }
  json.close(']').close('}');
  return text;
}

void Feed::write_history(JsonText& json, std::uint64_t id, const StreamState& state,
                         bool short_only) {
  const auto both = [&](std::string_view name, const History& history) {
    json.key(name);
    history.write_short(json);
    if (short_only) return;
    json.key(std::string(name) + "_long");
    history.write_long(json);
  };
  json.open('{').member("id", static_cast<std::int64_t>(id));
  both("in", state.appended);
  if (!short_only) both("bytes", state.stored);
  json.key("exports").open('[');
  for (const auto& one : state.exports) {
    json.open('{').member("name", one.identifier);
    both("waiting", one.waiting);
    if (!short_only) both("out", one.sent);
    json.close('}');
  }
  json.close(']').close('}');
}

}  // namespace weir::admin
