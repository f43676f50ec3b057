// Event files: records that a thread of the writer's own puts into a file.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace headrace {

// Safe to use from any thread. A program that adds events waits for the disk only if it is far ahead.
class EventWriter {
 public:
  static constexpr std::size_t kMostPending = std::size_t(64) << 20;

  // Makes the file, or goes on at its end. Who adds events waits only if there are `max_queue` to be written
  // (any number if it is 0) that fill kMostPending bytes, which no disk that works lets happen.
  EventWriter(const std::string& path, std::size_t max_queue);
  EventWriter(const EventWriter&) = delete;
  ~EventWriter();

  // An Event message. FailedPrecondition after close(). What went wrong with an earlier one is thrown here.
  void add(std::string_view event);
  void flush();  // returns when everything is in the file
  void close();  // the same, and ends the thread; again and again if one likes

 private:
  void write_loop();
  void check_process() const;
  void throw_failure() const;

  const std::string path_;
  const std::size_t max_queue_;
  const int process_;  // a fork of it has the writer, but not the worker
  struct Closer {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::unique_ptr<std::FILE, Closer> file_;

  std::mutex mutex_;
  std::string queue_;       // records to write
  std::size_t queued_ = 0;  // how many they are
  bool writing_ = false;    // others are on their way
  bool closing_ = false;
  std::string failure_;  // why the file cannot be written any more

  struct Worker {
    std::condition_variable work;  // there is something to do
    std::condition_variable done;  // something has been done
    std::thread thread;
  };
  std::unique_ptr<Worker> worker_;
};

}  // namespace headrace
