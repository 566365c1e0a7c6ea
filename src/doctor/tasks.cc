#include "doctor/tasks.h"

#include "base/mutex.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

namespace weir::doctor {
namespace {

/// Shared with threads that may outlive `run_tasks`.
struct Board {
  std::vector<Task> tasks;
  Duration each{};
  Mutex mutex;
  CondVar changed;
  std::size_t next WEIR_GUARDED_BY(mutex) = 0;
  std::size_t done WEIR_GUARDED_BY(mutex) = 0;
  bool closed WEIR_GUARDED_BY(mutex) = false;
  std::vector<std::optional<Findings>> results WEIR_GUARDED_BY(mutex);
  std::vector<std::stop_source> stops WEIR_GUARDED_BY(mutex);
  std::vector<std::optional<Instant>> deadlines WEIR_GUARDED_BY(mutex);
};

void work(const std::shared_ptr<Board>& board) {
  for (;;) {
    std::size_t mine = 0;
    std::stop_token stop;
    {
      const MutexLock lock(board->mutex);
      if (board->closed || board->next == board->tasks.size()) return;
      mine = board->next++;
      stop = board->stops[mine].get_token();
      board->deadlines[mine] = SystemClock().now() + board->each;
      board->changed.notify_all();
    }
    Findings found = board->tasks[mine].run(stop);
    const MutexLock lock(board->mutex);
    board->deadlines[mine].reset();
    if (!board->closed) board->results[mine] = std::move(found);
    ++board->done;
    board->changed.notify_all();
  }
}

/// Asks tasks to stop whose time is up; returns when the next one's is.
Instant stop_late_ones(Board& board, Instant now, Instant end) WEIR_REQUIRES(board.mutex) {
  Instant next = end;
  for (std::size_t i = 0; i < board.tasks.size(); ++i) {
    if (!board.deadlines[i]) continue;
    if (*board.deadlines[i] <= now) {
      board.stops[i].request_stop();
    } else {
      next = std::min(next, *board.deadlines[i]);
    }
  }
  return next;
}

/// Takes what is there; the rest is said not to have ended.
TaskResults collect(Board& board) WEIR_REQUIRES(board.mutex) {
  TaskResults out;
  board.closed = true;
  out.abandoned = board.done < board.tasks.size();
  for (std::size_t i = 0; i < board.tasks.size(); ++i) {
    if (out.abandoned) board.stops[i].request_stop();
    if (board.results[i]) {
      append(out.findings, std::move(*board.results[i]));
    } else {
      out.findings.push_back(board.tasks[i].unfinished);
    }
  }
  return out;
}

std::shared_ptr<Board> make_board(std::vector<Task> tasks, Duration each) {
  auto board = std::make_shared<Board>();
  const MutexLock lock(board->mutex);
  board->results.resize(tasks.size());
  board->stops.resize(tasks.size());
  board->deadlines.resize(tasks.size());
  board->tasks = std::move(tasks);
  board->each = each;
  return board;
}

}  // namespace

TaskResults run_tasks(std::vector<Task> tasks, const TaskLimits& limits) {
  TaskResults out;
  if (tasks.empty()) return out;
  const std::size_t count = std::min(limits.parallel, tasks.size());
  const auto board = make_board(std::move(tasks), limits.each);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < count; ++i) threads.emplace_back(work, board);
  const Instant end = SystemClock().now() + limits.all;
  {
    const MutexLock lock(board->mutex);
    while (board->done < board->tasks.size()) {
      const Instant now = SystemClock().now();
      if (now >= end) break;
      board->changed.wait_until(board->mutex, stop_late_ones(*board, now, end));
    }
    out = collect(*board);
  }
  for (std::thread& thread : threads) {
    if (out.abandoned) {
      thread.detach();
    } else {
      thread.join();
    }
  }
  return out;
}

}  // namespace weir::doctor
