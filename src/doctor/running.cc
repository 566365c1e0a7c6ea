#include "doctor/running.h"

#include "base/log.h"
#include "doctor/reach.h"

#include <array>
#include <curl/curl.h>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>

namespace weir::doctor {
namespace {

using nlohmann::json;

constexpr long kTimeoutMs = 5'000;
constexpr std::size_t kAnswerBytesMax = std::size_t{64} << 20U;
constexpr std::size_t kShownMax = 5;

std::size_t take_body(char* data, std::size_t size, std::size_t count, void* to) {
  auto& body = *static_cast<std::string*>(to);
  if (body.size() + size * count > kAnswerBytesMax) return 0;
  body.append(data, size * count);
  return size * count;
}

struct Answer {
  CURLcode code = CURLE_FAILED_INIT;
  long status = 0;
  std::string body;
};

Answer get(const std::string& url) {
  Answer answer;
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> easy(curl_easy_init(),
                                                                 curl_easy_cleanup);
  if (!easy) return answer;
  curl_easy_setopt(easy.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy.get(), CURLOPT_PROXY, "");
  curl_easy_setopt(easy.get(), CURLOPT_PROTOCOLS_STR, "http");
  curl_easy_setopt(easy.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy.get(), CURLOPT_TIMEOUT_MS, kTimeoutMs);
  curl_easy_setopt(easy.get(), CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(easy.get(), CURLOPT_WRITEDATA, &answer.body);
  answer.code = curl_easy_perform(easy.get());
  curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &answer.status);
  return answer;
}

json parsed(const std::string& text) { return json::parse(text, nullptr, false); }

std::string text_of(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::int64_t number_of(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

const json& list_of(const json& object, const char* name) {
  static const json kNone = json::array();
  if (!object.is_object()) return kNone;
  const auto found = object.find(name);
  return found != object.end() && found->is_array() ? *found : kNone;
}

/// What the running weir says of its own streams and exports.
Findings complaints_of(const json& status) {
  Findings found;
  for (const json& stream : list_of(status, "streams")) {
    const std::string name = "'" + log::escaped(text_of(stream, "name"), 80) + "'";
    if (const std::string fault = text_of(stream, "fault"); !fault.empty()) {
      found.push_back(Check(Group::kStore, "stream", text_of(stream, "name"))
                          .warning(fmt::format("stream {}: {}", name, log::escaped(fault)),
                                   "see the log; 'weir fsck' says more while weir is stopped"));
    }
    for (const json& each : list_of(stream, "exports")) {
      const std::string state = text_of(each, "state");
      const std::string error = text_of(each, "last_error");
      if (error.empty() || number_of(each, "consecutive_failures") == 0) continue;
      found.push_back(
          Check(Group::kDestinations, "export",
                text_of(stream, "name") + "/" + text_of(each, "identifier"))
              .warning(fmt::format("export {} of stream {} fails since {} tries, {} messages wait: "
                                   "{}",
                                   log::escaped(text_of(each, "identifier"), 80), name,
                                   number_of(each, "consecutive_failures"),
                                   number_of(each, "waiting_messages"), log::escaped(error)),
                       "see the lines about its destination"));
    }
  }
  return found;
}

/// A service has an environment and options of its own, which this command does not see.
bool from_a_file(const json& entry) {
  const std::string source = text_of(entry, "source");
  return !source.starts_with("environment") && !source.starts_with("option");
}

/// What would change if the running weir read its files again, in words.
std::vector<std::string> differences(const json& running,
                                     const std::map<std::string, std::string>& settings) {
  std::vector<std::string> differ;
  for (const auto& [key, now] : settings) {
    const auto found = running.find(key);
    const std::string name = log::escaped(key, 80);
    if (found == running.end()) {
      differ.push_back(fmt::format("{} would be {}", name, log::escaped(now, 60)));
      continue;
    }
    if (!found->is_object() || !from_a_file(*found)) continue;
    const std::string was = text_of(*found, "value");
    if (was == now) continue;
    differ.push_back(fmt::format("{} is {} and would be {}", name, log::escaped(was, 60),
                                 log::escaped(now, 60)));
  }
  for (const auto& [key, entry] : running.items()) {
    if (settings.contains(key) || !entry.is_object() || !from_a_file(entry)) continue;
    differ.push_back(fmt::format("{} is {} and would not be set", log::escaped(key, 80),
                                 log::escaped(text_of(entry, "value"), 60)));
  }
  return differ;
}

}  // namespace

Findings judge_running(const RunningFacts& facts) {
  const Check check(Group::kWeir, "running");
  switch (facts.life) {
    case Life::kAnswers: {
      const json status = parsed(facts.status);
      Findings found{check.ok(
          fmt::format("weir {} runs and answers on {}, {} streams",
                      log::escaped(status.is_object() ? text_of(status, "version") : "", 40),
                      facts.address, list_of(status, "streams").size()))};
      append(found, complaints_of(status));
      return found;
    }
    case Life::kSilent:
      return {check.error(
          fmt::format("something takes connections on {} and does not answer: {}", facts.address,
                      facts.error),
          "if it is weir, it hangs: 'systemctl restart weir' (nothing acknowledged is lost), and "
          "keep its log")};
    case Life::kStranger:
      return {check.error(fmt::format("what answers on {} is not weir", facts.address),
                          "set another admin.port, or stop that program")};
    case Life::kNoPort:
      return {check.skipped(facts.store_locked
                                ? "a weir runs on this store; it has no fixed admin port to ask"
                                : "no fixed admin port is configured to ask")};
    case Life::kNotThere:
      break;
  }
  if (facts.store_locked) {
    return {check.error("a weir runs on this store and does not listen on " + facts.address,
                        "does it have another configuration? Name it with --config")};
  }
  return {check.warning("weir is not running", "start it: systemctl start weir")};
}

Finding judge_drift(const RunningFacts& facts, const std::map<std::string, std::string>& settings,
                    const std::string& sha256) {
  const Check check(Group::kWeir, "drift");
  if (facts.life != Life::kAnswers) return check.skipped("weir is not running, so nothing differs");
  if (facts.config_status == 404) return check.skipped("this weir cannot tell what it runs with");
  const json document = parsed(facts.config);
  if (facts.config_status != 200 || !document.is_object() || !document.contains("values") ||
      !document["values"].is_object()) {
    return check.skipped(fmt::format("the running weir does not say what it runs with (answer {})",
                                     facts.config_status));
  }
  const auto differ = differences(document["values"], settings);
  if (differ.empty()) {
    const std::string was = text_of(document, "sha256");
    if (was.empty() || sha256.empty() || was == sha256) {
      return check.ok("the running weir has the settings of the files");
    }
    return check.ok(
        "the running weir has the settings of the files; comments, order or secrets in "
        "them were changed since");
  }
  std::string seen = "the running weir has other settings than the files: ";
  for (std::size_t i = 0; i < std::min(differ.size(), kShownMax); ++i) {
    seen += (i == 0 ? "" : "; ") + differ[i];
  }
  if (differ.size() > kShownMax) seen += fmt::format("; and {} more", differ.size() - kShownMax);
  return check.warning(std::move(seen), "weir reload (it says what needs a restart)");
}

RunningFacts ask_running(const std::string& address, std::int64_t port) {
  RunningFacts facts;
  if (port <= 0) {
    facts.life = Life::kNoPort;
    return facts;
  }
  // Who listens everywhere is asked here.
  std::string host = address;
  if (host.empty() || host == "0.0.0.0") host = "127.0.0.1";
  if (host == "::") host = "::1";
  if (host.find(':') != std::string::npos) host = "[" + host + "]";
  facts.address = fmt::format("{}:{}", host, port);
  const Answer status = get("http://" + facts.address + "/status");
  if (status.code == CURLE_COULDNT_CONNECT) return facts;
  if (status.code == CURLE_OPERATION_TIMEDOUT) {
    facts.life = Life::kSilent;
    facts.error = "no answer within 5 s";
    return facts;
  }
  const json document = parsed(status.body);
  if (status.code != CURLE_OK || status.status != 200 || !document.is_object() ||
      !document.contains("streams") || !document.contains("version")) {
    facts.life = Life::kStranger;
    return facts;
  }
  facts.life = Life::kAnswers;
  facts.status = status.body;
  Answer config = get("http://" + facts.address + "/config");
  facts.config_status = config.code == CURLE_OK ? config.status : 0;
  facts.config = std::move(config.body);
  return facts;
}

std::vector<RunningExport> exports_in(const std::string& status) {
  std::vector<RunningExport> found;
  const json document = parsed(status);
  for (const json& stream : list_of(document, "streams")) {
    for (const json& each : list_of(stream, "exports")) {
      RunningExport one{text_of(stream, "name"), text_of(each, "identifier"), text_of(each, "type"),
                        text_of(each, "target")};
      if (const auto to = each.find("redirected_to"); to != each.end() && to->is_object()) {
        one.type = text_of(*to, "type");
        one.target = text_of(*to, "target");
      }
      found.push_back(std::move(one));
    }
  }
  return found;
}

}  // namespace weir::doctor
