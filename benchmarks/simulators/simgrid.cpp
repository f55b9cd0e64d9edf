// Runs a scenario on SimGrid at flow level: max-min fair sharing (model CM02 without corrections),
// explicit routes over the spines named, an actor a rank. SimGrid knows no packets; links carry the
// flow's bytes with the headers of its packets.
//
// simgrid SCENARIO lazy    SimGrid's default: only what a change touches is computed anew
// simgrid SCENARIO full    everything is, which is faster where all flows touch one another
#include <simgrid/s4u.hpp>
#include <unordered_set>

#include "scenario.hpp"

namespace sg4 = simgrid::s4u;

namespace {

uint64_t WireBytes(const Scenario& scenario, const Flow& flow) {
  return flow.bytes + scenario.Packets(flow) * (scenario.wire_bytes - scenario.data_bytes);
}

struct Fabric {
  std::vector<sg4::Host*> hosts;

  explicit Fabric(const Scenario& s) {
    auto* zone = sg4::create_full_zone("fabric");
    const double rate = s.rate_gbps * 1e9 / 8;
    const auto link = [&](const std::string& name) {
      return zone->create_link(name, rate)->set_latency(s.hop_ns * 1e-9)->seal();
    };
    std::vector<const sg4::Link*> up, down, leaf_spine, spine_leaf;
    for (int host = 0; host < s.Hosts(); ++host) {
      hosts.push_back(zone->create_host("h" + std::to_string(host), 1e9)->seal());
      up.push_back(link("up" + std::to_string(host)));
      down.push_back(link("down" + std::to_string(host)));
    }
    for (int number = 0; number < s.leaves * s.spines; ++number) {
      leaf_spine.push_back(link("ls" + std::to_string(number)));
      spine_leaf.push_back(link("sl" + std::to_string(number)));
    }
    std::unordered_set<uint64_t> known;
    for (const Flow& f : s.flows) {
      if (!known.insert(uint64_t(f.source) * s.Hosts() + f.destination).second) continue;
      std::vector<sg4::LinkInRoute> route{sg4::LinkInRoute(up[f.source])};
      if (f.spine >= 0) {
        const int from = f.source / s.hosts_per_leaf, to = f.destination / s.hosts_per_leaf;
        route.emplace_back(leaf_spine[from * s.spines + f.spine]);
        route.emplace_back(spine_leaf[to * s.spines + f.spine]);
      }
      route.emplace_back(down[f.destination]);
      zone->add_route(hosts[f.source]->get_netpoint(), hosts[f.destination]->get_netpoint(),
                      nullptr, nullptr, route, false);
    }
    zone->seal();
  }
};

uint64_t arrived = 0;

// Flows that wait for nothing: all start now.
void SendAtOnce(const Scenario& s, const Fabric& fabric, const std::vector<uint32_t>& flows) {
  std::vector<sg4::CommPtr> comms;
  for (uint32_t number : flows) {
    const Flow& f = s.flows[number];
    comms.push_back(sg4::Comm::sendto_async(fabric.hosts[f.source], fabric.hosts[f.destination],
                                            WireBytes(s, f)));
  }
  sg4::Comm::wait_all(comms);
  arrived += comms.size();
}

// A rank of a ring: receives a part from the rank before it, then sends the next one, after its own
// last one has left. Mailboxes have a receiver, so that a part is under way before it is asked for.
struct Rank {
  std::vector<uint32_t> flows;
  sg4::Mailbox* in = nullptr;
  sg4::Mailbox* out = nullptr;

  void Run(const Scenario& s) const {
    static char nothing;
    sg4::CommPtr last;
    size_t received = 0;
    const auto receive = [&] {
      in->get<char>();
      ++received;
      ++arrived;
    };
    for (uint32_t number : flows) {
      if (s.flows[number].predecessor >= 0) receive();
      if (last) last->wait();
      last = out->put_async(&nothing, WireBytes(s, s.flows[number]));
    }
    while (received < flows.size()) receive();
    last->wait();
  }
};

// One actor for all flows at once, or one a rank: the scenario is either of these.
void StartActors(const Scenario& s, const Fabric& fabric, std::vector<Rank>& ranks) {
  std::vector<uint32_t> free;
  std::vector<int> before(s.Hosts(), -1);
  ranks.resize(s.Hosts());
  bool chained = false;
  for (const Flow& f : s.flows) chained = chained || f.predecessor >= 0;
  for (uint32_t number = 0; number < s.flows.size(); ++number) {
    const Flow& f = s.flows[number];
    if (!chained) {
      free.push_back(number);
      continue;
    }
    ranks[f.source].flows.push_back(number);
    before[f.destination] = f.source;
  }
  if (!chained) {
    sg4::Actor::create("flows", fabric.hosts[0],
                       [&s, &fabric, free] { SendAtOnce(s, fabric, free); });
    return;
  }
  for (int host = 0; host < s.Hosts(); ++host) {
    if (before[host] < 0) continue;
    Rank& rank = ranks[host];
    rank.in = sg4::Mailbox::by_name("from" + std::to_string(before[host]));
    rank.out = sg4::Mailbox::by_name("from" + std::to_string(host));
    rank.in->set_receiver(sg4::Actor::create("rank", fabric.hosts[host], [&] { rank.Run(s); }));
  }
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) {
    std::fprintf(stderr, "simgrid SCENARIO lazy|full\n");
    return 2;
  }
  const bool full = std::string(arguments[2]) == "full";
  std::vector<std::string> settings{"simgrid",
                                    full ? "--cfg=network/optim:Full" : "--cfg=network/optim:Lazy",
                                    "--cfg=network/model:CM02",
                                    "--cfg=network/TCP-gamma:0",
                                    "--cfg=network/crosstraffic:0",
                                    "--cfg=surf/precision:1e-12",
                                    "--log=root.thres:error"};
  std::vector<char*> words;
  for (std::string& setting : settings) words.push_back(setting.data());
  int given = int(words.size());
  sg4::Engine engine(&given, words.data());

  const Scenario scenario = ReadScenario(arguments[1]);
  const Fabric fabric(scenario);
  std::vector<Rank> ranks;
  StartActors(scenario, fabric, ranks);
  const Watch run;
  engine.run();
  Print(run, {0, 0, arrived, sg4::Engine::get_clock() * 1e9, 0});
  return arrived == scenario.flows.size() ? 0 : 1;
}
