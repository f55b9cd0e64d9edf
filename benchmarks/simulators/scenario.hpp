// The scenario as the Python side writes it, read by the programs that run it on a peer.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

// Hosts are numbered leaf by leaf. Flows of one pair of hosts share a queue pair and are sent in
// the order of their number; a flow starts when its predecessor (-1: none) has arrived whole.
struct Flow {
  int source;
  int destination;
  uint64_t bytes;
  int spine;  // -1 between hosts of one leaf
  int64_t predecessor;
};

struct Scenario {
  int leaves, spines, hosts_per_leaf;
  double rate_gbps;
  int hop_ns;
  uint32_t data_bytes;  // of a flow, that one packet carries
  uint32_t wire_bytes;  // of such a packet, all headers included
  uint32_t ack_bytes;
  uint32_t ack_every;  // packets to an acknowledgement; the last one of a flow has its own
  uint64_t window_bytes;  // unacknowledged data that a queue pair may have under way
  std::vector<Flow> flows;

  int Hosts() const { return leaves * hosts_per_leaf; }
  uint64_t Packets(const Flow& flow) const { return (flow.bytes + data_bytes - 1) / data_bytes; }
};

inline Scenario ReadScenario(const std::string& path) {
  std::ifstream file(path);
  std::string word;
  Scenario s{};
  size_t count = 0;
  file >> word >> s.leaves >> s.spines >> s.hosts_per_leaf >> s.rate_gbps >> s.hop_ns;
  file >> word >> s.data_bytes >> s.wire_bytes >> s.ack_bytes >> s.ack_every >> s.window_bytes;
  file >> word >> count;
  s.flows.resize(count);
  for (Flow& f : s.flows) file >> f.source >> f.destination >> f.bytes >> f.spine >> f.predecessor;
  if (!file) throw std::runtime_error(path + " is not a whole scenario; write it again");
  return s;
}

// Wall and CPU time since it was made.
class Watch {
 public:
  double Wall() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  double Cpu() const { return double(std::clock() - cpu_) / CLOCKS_PER_SEC; }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::clock_t cpu_ = std::clock();
};

// This process's largest resident set.
inline uint64_t PeakBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    uint64_t kib = 0;
    if (word == "VmHWM:" && status >> kib) return kib * 1024;
  }
  return 0;
}

// What a program found; events, packets and acknowledgements are 0 where it has none.
struct Result {
  uint64_t events, data_packets, flows;
  double makespan_ns;  // the last flow has arrived
  double acknowledged_ns;  // and its sender knows
};

// Prints the line that the comparison reads.
inline void Print(const Watch& run, const Result& result) {
  std::printf(
      "{\"run_s\": %.6f, \"run_cpu_s\": %.6f, \"events\": %llu, \"data_packets\": %llu, "
      "\"flows\": %llu, \"makespan_ns\": %.3f, \"acknowledged_ns\": %.3f, "
      "\"peak_bytes\": %llu}\n",
      run.Wall(), run.Cpu(), (unsigned long long)result.events,
      (unsigned long long)result.data_packets, (unsigned long long)result.flows,
      result.makespan_ns, result.acknowledged_ns, (unsigned long long)PeakBytes());
}
