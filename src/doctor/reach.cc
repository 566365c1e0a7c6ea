#include "doctor/reach.h"

#include "base/ascii.h"
#include "base/clock.h"
#include "base/log.h"
#include "destination/curl_text.h"

#include <algorithm>
#include <array>
#include <curl/curl.h>
#include <fmt/format.h>
#include <memory>
#include <string_view>

namespace weir::doctor {
namespace {

constexpr long kTimeoutMs = 5'000;

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

/// Host and port of a proxy's address: what else stands there may be a password.
std::string without_password(std::string_view proxy) {
  if (const auto scheme = proxy.find("://"); scheme != std::string_view::npos) {
    proxy.remove_prefix(scheme + 3);
  }
  if (const auto at = proxy.rfind('@'); at != std::string_view::npos) proxy.remove_prefix(at + 1);
  if (const auto slash = proxy.find('/'); slash != std::string_view::npos) {
    proxy = proxy.substr(0, slash);
  }
  return log::escaped(proxy, 120);
}

std::string value_of(const std::map<std::string, std::string>& environment,
                     std::initializer_list<const char*> names) {
  for (const char* const name : names) {
    const auto found = environment.find(name);
    if (found != environment.end() && !found->second.empty()) return found->second;
  }
  return {};
}

/// Whether an entry of NO_PROXY covers the host: itself or a domain above it.
bool covers(std::string_view entry, const std::string& host) {
  if (entry == "*") return true;
  if (entry.starts_with('.')) entry.remove_prefix(1);
  if (entry.empty()) return false;
  if (entry == host) return true;
  return host.size() > entry.size() && host.ends_with(entry) &&
         host[host.size() - entry.size() - 1] == '.';
}

struct EasyDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};

std::string host_in_url(const std::string& host) {
  return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

/// Hears what curl does: what was sent needed a connection. (Its own times are set once all steps
/// are done.)
int listen_in(CURL*, curl_infotype type, char*, std::size_t, void* connected) {
  if (type == CURLINFO_SSL_DATA_OUT || type == CURLINFO_HEADER_OUT) {
    *static_cast<bool*>(connected) = true;
  }
  return 0;
}

void set_up(CURL* easy, const Server& server, bool trusting, char* detail) {
  const std::string url = fmt::format("{}://{}:{}/", server.tls ? "https" : "http",
                                      host_in_url(server.host), server.port);
  curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
  curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, kTimeoutMs);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, kTimeoutMs);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, detail);
  curl_easy_setopt(easy, CURLOPT_CERTINFO, 1L);
  curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (!server.proxies) curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
  if (!server.ca_file.empty()) curl_easy_setopt(easy, CURLOPT_CAINFO, server.ca_file.c_str());
  if (!server.certificate_file.empty()) {
    curl_easy_setopt(easy, CURLOPT_SSLCERT, server.certificate_file.c_str());
  }
  if (!server.key_file.empty()) curl_easy_setopt(easy, CURLOPT_SSLKEY, server.key_file.c_str());
  // Without one, OpenSSL asks for the pass phrase on the terminal and waits.
  curl_easy_setopt(easy, CURLOPT_KEYPASSWD, "");
  if (trusting) {
    // Only to see whose certificate it is; nothing is sent over this connection.
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
  }
}

Step step_of(CURL* easy, CURLcode code, bool connected, const ReachFacts& facts) {
  const auto passed = [&](CURLINFO info) {
    curl_off_t us = 0;
    return curl_easy_getinfo(easy, info, &us) == CURLE_OK && us > 0;
  };
  switch (code) {
    case CURLE_OK:
      return Step::kReached;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return Step::kName;
    case CURLE_COULDNT_CONNECT:
      return Step::kConnect;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
      return Step::kTrust;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CIPHER:
      return Step::kTls;
    default:
      break;
  }
  if (facts.proxy_status != 0 && (facts.proxy_status < 200 || facts.proxy_status > 299)) {
    return Step::kProxy;
  }
  if (!passed(CURLINFO_NAMELOOKUP_TIME_T)) return Step::kName;
  if (!connected && !passed(CURLINFO_CONNECT_TIME_T)) return Step::kConnect;
  return !facts.proxy.empty() && facts.proxy_status == 0 ? Step::kProxy : Step::kTls;
}

/// The value behind "Issuer:" and the like in one certificate's lines.
std::string field_of(const curl_slist* lines, std::string_view name) {
  for (const curl_slist* line = lines; line != nullptr; line = line->next) {
    const std::string_view text(line->data);
    if (text.starts_with(name) && text.size() > name.size() && text[name.size()] == ':') {
      return log::escaped(text.substr(name.size() + 1), 160);
    }
  }
  return {};
}

void read_certificates(CURL* easy, ReachFacts& facts) {
  curl_certinfo* chain = nullptr;
  if (curl_easy_getinfo(easy, CURLINFO_CERTINFO, &chain) != CURLE_OK || chain == nullptr ||
      chain->num_of_certs < 1) {
    return;
  }
  facts.subject = field_of(chain->certinfo[0], "Subject");
  facts.issuer = field_of(chain->certinfo[0], "Issuer");
  facts.top_issuer = field_of(chain->certinfo[chain->num_of_certs - 1], "Issuer");
  const std::string until = field_of(chain->certinfo[0], "Expire date");
  if (const time_t seconds = curl_getdate(until.c_str(), nullptr); seconds > 0) {
    facts.expires_ms = static_cast<std::int64_t>(seconds) * 1'000;
  }
}

void connect_once(const Server& server, bool trusting, ReachFacts& facts) {
  const std::unique_ptr<CURL, EasyDeleter> easy(curl_easy_init());
  if (!easy) {
    facts.step = Step::kConnect;
    facts.error = "libcurl does not start";
    return;
  }
  std::array<char, CURL_ERROR_SIZE> detail{};
  set_up(easy.get(), server, trusting, detail.data());
  bool connected = false;
  curl_easy_setopt(easy.get(), CURLOPT_VERBOSE, 1L);
  curl_easy_setopt(easy.get(), CURLOPT_DEBUGFUNCTION, listen_in);
  curl_easy_setopt(easy.get(), CURLOPT_DEBUGDATA, &connected);
  const SystemClock clock;
  const Instant begin = clock.now();
  const CURLcode code = curl_easy_perform(easy.get());
  if (trusting) {
    read_certificates(easy.get(), facts);
    return;
  }
  facts.took_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(clock.now() - begin).count();
  curl_easy_getinfo(easy.get(), CURLINFO_HTTP_CONNECTCODE, &facts.proxy_status);
  facts.timed_out = code == CURLE_OPERATION_TIMEDOUT;
  facts.step = step_of(easy.get(), code, connected, facts);
  facts.proxy_failed = code == CURLE_COULDNT_RESOLVE_PROXY ||
                       (facts.step == Step::kConnect && !facts.proxy.empty()) ||
                       facts.step == Step::kProxy;
  if (code != CURLE_OK) {
    facts.error = log::escaped(destination::curl_failure_text(code, detail.data()));
  }
  const char* address = nullptr;
  curl_easy_getinfo(easy.get(), CURLINFO_PRIMARY_IP, &address);
  if (address != nullptr) facts.address = address;
  read_certificates(easy.get(), facts);
}

Finding judge_trust(const Check& check, const ReachFacts& facts) {
  const bool expired = facts.expires_ms && *facts.expires_ms < facts.now_ms;
  if (expired) {
    return check.error(fmt::format("{}: the server's certificate expired {} ago", facts.server,
                                   time_text(facts.now_ms - *facts.expires_ms)),
                       "renew it on the server; if it is not that old, set this machine's clock");
  }
  if (facts.error.find("not yet valid") != std::string::npos) {
    return check.error(facts.server + ": the server's certificate is not valid yet",
                       "set this machine's clock: it is behind");
  }
  if (facts.error.find("match") != std::string::npos) {
    return check.error(fmt::format("{}: the certificate is for another name: {}", facts.server,
                                   facts.subject.empty() ? facts.error : facts.subject),
                       "correct the host name of the export, or the server's certificate");
  }
  const std::string authority = facts.top_issuer.empty() ? facts.issuer : facts.top_issuer;
  return check.error(
      fmt::format("{}: the certificate is from an authority that is not trusted here{}",
                  facts.server, authority.empty() ? "" : ": " + authority),
      (facts.ca_file.empty()
           ? std::string("is something on the way opening TLS? Then name its authority's file in "
                         "AWS_CA_BUNDLE or ca_file, or install it (update-ca-certificates)")
           : fmt::format("'{}' must contain this authority", log::escaped(facts.ca_file))));
}

Finding judge_proxy(const Check& check, const ReachFacts& facts) {
  const std::string proxy = "the proxy " + facts.proxy;
  const char* const elsewhere =
      "correct HTTPS_PROXY in weir's environment, or name the host in NO_PROXY";
  if (facts.step == Step::kName) {
    return check.error(fmt::format("{}: {} has no address", facts.server, proxy), elsewhere);
  }
  if (facts.step == Step::kConnect) {
    return check.error(fmt::format("{}: {} {}", facts.server, proxy,
                                   facts.timed_out ? "does not answer" : "takes no connection"),
                       elsewhere);
  }
  if (facts.proxy_status == 407) {
    return check.error(fmt::format("{}: {} wants a user and password (407)", facts.server, proxy),
                       "put them into its address: http://user:password@host:port");
  }
  if (facts.proxy_status != 0) {
    return check.error(
        fmt::format("{}: {} refuses to connect to it ({})", facts.server, proxy,
                    facts.proxy_status),
        "have the host allowed on the proxy, or name it in NO_PROXY if it can be reached directly");
  }
  return check.error(fmt::format("{}: {} does not answer to CONNECT{}", facts.server, proxy,
                                 facts.timed_out ? " within 5 s" : ": " + facts.error),
                     elsewhere);
}

Finding judge_reached(const Check& check, const ReachFacts& facts) {
  std::string seen = facts.server + (facts.tls ? ": connected with TLS" : ": connected");
  seen += fmt::format(" in {} ms", facts.took_ms);
  if (!facts.proxy.empty()) seen += " through the proxy " + facts.proxy;
  if (!facts.not_by_proxy.empty()) {
    seen += fmt::format(", without the proxy (NO_PROXY has '{}')", facts.not_by_proxy);
  }
  if (!facts.expires_ms) return check.ok(std::move(seen));
  const std::int64_t left = *facts.expires_ms - facts.now_ms;
  seen += ", certificate good for " + time_text(std::max<std::int64_t>(left, 0));
  if (left < kCertificateWarnMs) {
    return check.warning(std::move(seen), "have it renewed on the server before it expires");
  }
  return check.ok(std::move(seen));
}

}  // namespace

std::string Server::name() const { return fmt::format("{}:{}", host_in_url(host), port); }

ProxyChoice proxy_for(const std::string& host, bool tls,
                      const std::map<std::string, std::string>& environment) {
  // curl does not read HTTP_PROXY in capitals: a web server could set it for a request's header.
  std::string proxy = tls ? value_of(environment, {"https_proxy", "HTTPS_PROXY"})
                          : value_of(environment, {"http_proxy"});
  if (proxy.empty()) proxy = value_of(environment, {"all_proxy", "ALL_PROXY"});
  if (proxy.empty()) return {};
  const std::string none = value_of(environment, {"no_proxy", "NO_PROXY"});
  const std::string wanted = lower(host);
  for (std::size_t at = 0; at < none.size();) {
    const std::size_t end = std::min(none.find_first_of(", ", at), none.size());
    const std::string entry = lower(std::string_view(none).substr(at, end - at));
    if (covers(entry, wanted)) return {{}, log::escaped(entry, 80)};
    at = end + 1;
  }
  return {without_password(proxy), {}};
}

Finding judge_reach(const ReachFacts& facts) {
  const char* const name = facts.step == Step::kName      ? "dns"
                           : facts.step == Step::kConnect ? "connect"
                           : facts.step == Step::kProxy   ? "proxy"
                           : facts.step == Step::kReached ? "reach"
                                                          : "tls";
  const Check check(Group::kNetwork, name, facts.server);
  if (facts.proxy_failed) return judge_proxy(check, facts);
  switch (facts.step) {
    case Step::kName:
      return check.error(fmt::format("{}: {}", facts.server,
                                     facts.timed_out ? "no name server answers within 5 s"
                                                     : "there is no address for this name"),
                         facts.timed_out
                             ? "is there a network? See /etc/resolv.conf and 'ip route'"
                             : "is the name (or the region in it) right, and is there a network?");
    case Step::kConnect:
      return check.error(fmt::format("{}: {}{}", facts.server,
                                     facts.timed_out ? "no answer within 5 s" : "no connection",
                                     facts.timed_out ? "" : " (" + facts.error + ")"),
                         facts.timed_out
                             ? "a firewall on the way drops it: have this host and port allowed"
                             : "is the host right, and does something listen there?");
    case Step::kProxy:
      return judge_proxy(check, facts);
    case Step::kTls:
      return check.error(
          fmt::format("{}: TLS fails: {}", facts.server,
                      facts.timed_out ? "the server does not answer within 5 s" : facts.error),
          "does this port speak TLS 1.2 or newer, and are the certificate files right?");
    case Step::kTrust:
      return judge_trust(check, facts);
    case Step::kReached:
      break;
  }
  return judge_reached(check, facts);
}

ReachFacts look_at_server(const Server& server,
                          const std::map<std::string, std::string>& environment) {
  ReachFacts facts;
  facts.server = server.name();
  facts.tls = server.tls;
  facts.ca_file = server.ca_file;
  if (server.proxies) {
    ProxyChoice choice = proxy_for(server.host, server.tls, environment);
    facts.proxy = std::move(choice.proxy);
    facts.not_by_proxy = std::move(choice.not_by_proxy);
  }
  facts.now_ms = SystemClock().wall_ms();
  connect_once(server, false, facts);
  if (facts.step == Step::kTrust && facts.issuer.empty()) connect_once(server, true, facts);
  return facts;
}

}  // namespace weir::doctor
