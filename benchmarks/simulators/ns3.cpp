// Runs a scenario on ns-3: point-to-point devices, IPv4, UDP and an application with a window and
// acknowledgements. ns-3 has no RoCE, PFC or DCQCN; queues are as long as they need to be, so
// nothing is lost and nothing is sent twice.
//
// ns3 SCENARIO stock     routing as ns-3 brings it: global routing, each packet on a random path
// ns3 SCENARIO pinned    a table of this file's own: constant-time, each flow on the spine named
#include <deque>
#include <unordered_map>

#include "ns3/core-module.h"
#include "ns3/internet-module.h"
#include "ns3/network-module.h"
#include "ns3/point-to-point-module.h"
#include "scenario.hpp"

// Newer releases pass callbacks by reference.
#ifdef NS3_CALLBACKS_BY_REFERENCE
#define PASSED(type) const type&
#else
#define PASSED(type) type
#endif

using namespace ns3;

namespace {

constexpr uint16_t kPort = 4791;
constexpr uint32_t kPppIpUdpBytes = 2 + 20 + 8;

// Which flow a packet belongs to, which of its packets it is, and whether it acknowledges.
class FlowHeader : public Header {
 public:
  static constexpr uint32_t kBytes = 12;

  static TypeId GetTypeId() {
    static TypeId id = TypeId("FlowHeader").SetParent<Header>().AddConstructor<FlowHeader>();
    return id;
  }
  TypeId GetInstanceTypeId() const override { return GetTypeId(); }
  uint32_t GetSerializedSize() const override { return kBytes; }
  void Serialize(Buffer::Iterator at) const override {
    at.WriteHtonU32(flow);
    at.WriteHtonU32(packets);
    at.WriteHtonU32(ack);
  }
  uint32_t Deserialize(Buffer::Iterator at) override {
    flow = at.ReadNtohU32();
    packets = at.ReadNtohU32();
    ack = at.ReadNtohU32();
    return kBytes;
  }
  void Print(std::ostream& out) const override { out << flow << ' ' << packets << ' ' << ack; }

  uint32_t flow = 0;
  uint32_t packets = 0;  // in an acknowledgement: how many it acknowledges
  uint32_t ack = 0;
};

// Four addresses a host, so that none of them is a broadcast address.
Ipv4Address AddressOf(int host) { return Ipv4Address(0x0a000001u + 4 * uint32_t(host)); }
int HostOf(Ipv4Address address) { return int(address.Get() - 0x0a000001u) / 4; }

// The constant-time table: hosts are looked up by number, flows by their pair of hosts.
class PinnedRouting : public Ipv4RoutingProtocol {
 public:
  PinnedRouting(const Scenario& scenario, const std::vector<int16_t>& spine_of, int tier, int own)
      : scenario_(scenario), spine_of_(spine_of), tier_(tier), own_(own) {}

  void Add(Ptr<NetDevice> device) {
    auto route = Create<Ipv4Route>();
    route->SetOutputDevice(device);
    route->SetGateway(Ipv4Address::GetZero());
    routes_.push_back(route);
  }

  Ptr<Ipv4Route> RouteOutput(Ptr<Packet>, const Ipv4Header& header, Ptr<NetDevice>,
                             Socket::SocketErrno& error) override {
    error = Socket::ERROR_NOTERROR;
    routes_[0]->SetSource(AddressOf(own_));
    routes_[0]->SetDestination(header.GetDestination());
    return routes_[0];
  }

  bool RouteInput(Ptr<const Packet> packet, const Ipv4Header& header, Ptr<const NetDevice> device,
                  PASSED(UnicastForwardCallback) forward, PASSED(MulticastForwardCallback),
                  PASSED(LocalDeliverCallback) deliver, PASSED(ErrorCallback)) override {
    const int destination = HostOf(header.GetDestination());
    if (tier_ == 0) {
      NS_ABORT_MSG_IF(destination != own_, "a packet for host " << destination << " went astray");
      deliver(packet, header, ipv4_->GetInterfaceForDevice(device));
      return true;
    }
    const int leaf = destination / scenario_.hosts_per_leaf;
    size_t port = leaf;
    if (tier_ == 1) {
      const size_t pair = size_t(HostOf(header.GetSource())) * scenario_.Hosts() + destination;
      port = leaf == own_ ? destination % scenario_.hosts_per_leaf
                          : scenario_.hosts_per_leaf + spine_of_[pair];
    }
    forward(routes_[port], packet, header);
    return true;
  }

  void NotifyInterfaceUp(uint32_t) override {}
  void NotifyInterfaceDown(uint32_t) override {}
  void NotifyAddAddress(uint32_t, Ipv4InterfaceAddress) override {}
  void NotifyRemoveAddress(uint32_t, Ipv4InterfaceAddress) override {}
  void SetIpv4(Ptr<Ipv4> ipv4) override { ipv4_ = ipv4; }
  void PrintRoutingTable(Ptr<OutputStreamWrapper>, Time::Unit) const override {}

 private:
  const Scenario& scenario_;
  const std::vector<int16_t>& spine_of_;
  const int tier_;  // 0 a host, 1 a leaf, 2 a spine
  const int own_;
  Ptr<Ipv4> ipv4_;
  std::vector<Ptr<Ipv4Route>> routes_;  // by port: hosts then spines of a leaf, leaves of a spine
};

// The fabric and the flows under way.
class Simulation {
 public:
  Simulation(const Scenario& scenario, bool stock)
      : scenario_(scenario), stock_(stock), spine_of_(FindSpines(scenario)) {}

  void Build() {
    const int hosts = scenario_.Hosts();
    nodes_.Create(hosts + scenario_.leaves + scenario_.spines);
    InternetStackHelper internet;
    if (stock_) internet.SetRoutingHelper(Ipv4GlobalRoutingHelper());
    internet.SetIpv6StackInstall(false);
    internet.Install(nodes_);
    if (!stock_) PinRoutes();
    for (int host = 0; host < hosts; ++host) Connect(host, Leaf(host / scenario_.hosts_per_leaf));
    for (int leaf = 0; leaf < scenario_.leaves; ++leaf)
      for (int spine = 0; spine < scenario_.spines; ++spine) Connect(Leaf(leaf), Spine(spine));
    if (stock_) Ipv4GlobalRoutingHelper::PopulateRoutingTables();
    for (int host = 0; host < hosts; ++host) OpenSocket(host);
    IndexFlows();
  }

  void Start() {
    for (uint32_t flow = 0; flow < scenario_.flows.size(); ++flow)
      if (scenario_.flows[flow].predecessor < 0) Release(flow);
  }

  uint64_t arrived = 0;
  uint64_t packets = 0;
  Time last;   // a flow arrived
  Time known;  // a sender learnt of it

 private:
  struct Pair {  // a queue pair: flows in order, a window over them
    std::deque<uint32_t> waiting;
    uint64_t sent = 0;  // packets of the flow at the head
    uint64_t under_way = 0;
  };

  // Acknowledgements go back over the same spine, unless flows of that direction have one.
  static std::vector<int16_t> FindSpines(const Scenario& scenario) {
    const size_t hosts = scenario.Hosts();
    std::vector<int16_t> spines(hosts * hosts, -1);
    for (const Flow& f : scenario.flows) spines[f.destination * hosts + f.source] = f.spine;
    for (const Flow& f : scenario.flows) spines[f.source * hosts + f.destination] = f.spine;
    return spines;
  }

  int Leaf(int leaf) const { return scenario_.Hosts() + leaf; }
  int Spine(int spine) const { return scenario_.Hosts() + scenario_.leaves + spine; }

  void PinRoutes() {
    for (int number = 0; number < int(nodes_.GetN()); ++number) {
      const int tier = number < Leaf(0) ? 0 : number < Spine(0) ? 1 : 2;
      const int own = number - (tier == 0 ? 0 : tier == 1 ? Leaf(0) : Spine(0));
      tables_.push_back(CreateObject<PinnedRouting>(scenario_, spine_of_, tier, own));
      nodes_.Get(number)->GetObject<Ipv4>()->SetRoutingProtocol(tables_.back());
    }
  }

  void Connect(int a, int b) {
    auto channel = CreateObject<PointToPointChannel>();
    channel->SetAttribute("Delay", TimeValue(NanoSeconds(scenario_.hop_ns)));
    const uint32_t network = 0x0b000000u + 4 * links_++;
    int end = 1;
    for (int number : {a, b}) {
      auto device = CreateObject<PointToPointNetDevice>();
      device->SetAddress(Mac48Address::Allocate());
      device->SetDataRate(DataRate(uint64_t(scenario_.rate_gbps * 1e9)));
      device->SetMtu(9000);
      auto queue = CreateObject<DropTailQueue<Packet>>();
      queue->SetMaxSize(QueueSize("4000000p"));
      device->SetQueue(queue);
      device->Attach(channel);
      nodes_.Get(number)->AddDevice(device);
      auto ipv4 = nodes_.Get(number)->GetObject<Ipv4>();
      const uint32_t interface = ipv4->AddInterface(device);
      const Ipv4Address address =
          number < scenario_.Hosts() && !stock_ ? AddressOf(number) : Ipv4Address(network + end);
      ipv4->AddAddress(interface, Ipv4InterfaceAddress(address, Ipv4Mask("255.255.255.252")));
      ipv4->SetMetric(interface, 1);
      ipv4->SetUp(interface);
      if (!stock_) tables_[number]->Add(device);
      if (number < scenario_.Hosts()) addresses_.push_back(address);
      ++end;
    }
  }

  void OpenSocket(int host) {
    auto socket = Socket::CreateSocket(nodes_.Get(host), UdpSocketFactory::GetTypeId());
    socket->SetAttribute("RcvBufSize", UintegerValue(1u << 31));
    socket->Bind(InetSocketAddress(Ipv4Address::GetAny(), kPort));
    socket->SetRecvCallback(MakeCallback(&Simulation::Receive, this));
    sockets_.push_back(socket);
  }

  void IndexFlows() {
    received_.resize(scenario_.flows.size());
    unacknowledged_.resize(scenario_.flows.size());
    successors_.resize(scenario_.flows.size());
    for (uint32_t flow = 0; flow < scenario_.flows.size(); ++flow)
      if (scenario_.flows[flow].predecessor >= 0)
        successors_[scenario_.flows[flow].predecessor].push_back(flow);
  }

  Pair& PairOf(uint32_t flow) {
    const Flow& f = scenario_.flows[flow];
    return pairs_[uint64_t(f.source) * scenario_.Hosts() + f.destination];
  }

  void Release(uint32_t flow) {
    Pair& pair = PairOf(flow);
    pair.waiting.push_back(flow);
    Fill(pair);
  }

  void Fill(Pair& pair) {
    const uint64_t window = std::max<uint64_t>(1, scenario_.window_bytes / scenario_.data_bytes);
    while (!pair.waiting.empty() && pair.under_way < window) {
      const uint32_t number = pair.waiting.front();
      const Flow& flow = scenario_.flows[number];
      const uint64_t whole = scenario_.Packets(flow);
      const uint64_t rest = flow.bytes - pair.sent * scenario_.data_bytes;
      const uint32_t spare = scenario_.wire_bytes - scenario_.data_bytes;
      const uint32_t wire = uint32_t(std::min<uint64_t>(rest, scenario_.data_bytes)) + spare;
      Send(flow.source, flow.destination, number, 1, false, wire);
      ++pair.under_way;
      if (++pair.sent == whole) {
        pair.waiting.pop_front();
        pair.sent = 0;
      }
    }
  }

  void Send(int source, int destination, uint32_t flow, uint32_t count, bool ack, uint32_t wire) {
    const uint32_t least = kPppIpUdpBytes + FlowHeader::kBytes;
    auto packet = Create<Packet>(wire > least ? wire - least : 0);
    FlowHeader header;
    header.flow = flow;
    header.packets = count;
    header.ack = ack;
    packet->AddHeader(header);
    sockets_[source]->SendTo(packet, 0, InetSocketAddress(addresses_[destination], kPort));
  }

  void Receive(Ptr<Socket> socket) {
    while (auto packet = socket->Recv()) {
      FlowHeader header;
      packet->RemoveHeader(header);
      if (header.ack) {
        Pair& pair = PairOf(header.flow);
        pair.under_way -= header.packets;
        known = Simulator::Now();
        Fill(pair);
      } else {
        Take(header.flow);
      }
    }
  }

  // Packets are counted, not ordered: on random paths they overtake one another.
  void Take(uint32_t number) {
    const Flow& flow = scenario_.flows[number];
    const bool whole = ++received_[number] == scenario_.Packets(flow);
    ++packets;
    if (++unacknowledged_[number] == scenario_.ack_every || whole) {
      Send(flow.destination, flow.source, number, unacknowledged_[number], true,
           scenario_.ack_bytes);
      unacknowledged_[number] = 0;
    }
    if (!whole) return;
    ++arrived;
    last = Simulator::Now();
    for (uint32_t successor : successors_[number]) Release(successor);
  }

  const Scenario& scenario_;
  const bool stock_;
  const std::vector<int16_t> spine_of_;
  NodeContainer nodes_;
  uint32_t links_ = 0;
  std::vector<Ptr<PinnedRouting>> tables_;
  std::vector<Ipv4Address> addresses_;  // of the hosts
  std::vector<Ptr<Socket>> sockets_;
  std::unordered_map<uint64_t, Pair> pairs_;
  std::vector<uint32_t> received_, unacknowledged_;
  std::vector<std::vector<uint32_t>> successors_;
};

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) {
    std::fprintf(stderr, "ns3 SCENARIO stock|pinned\n");
    return 2;
  }
  Time::SetResolution(Time::PS);  // a packet takes 327.68 ns at 100 Gb/s
  RngSeedManager::SetSeed(1);
  Config::SetDefault("ns3::Ipv4GlobalRouting::RandomEcmpRouting", BooleanValue(true));
  const Scenario scenario = ReadScenario(arguments[1]);
  Simulation simulation(scenario, std::string(arguments[2]) == "stock");
  simulation.Build();
  const Watch run;
  simulation.Start();
  Simulator::Run();
  Print(run, {Simulator::GetEventCount(), simulation.packets, simulation.arrived,
              simulation.last.GetPicoSeconds() / 1e3, simulation.known.GetPicoSeconds() / 1e3});
  Simulator::Destroy();
  return simulation.arrived == scenario.flows.size() ? 0 : 1;
}
