// What a binding table tells of itself, and what it lets forwarders see.

import Bindings
import PrefixTable
import Synchronization
import Wire

extension BindingTable {
    /// A binding as it is now.
    public struct State: Sendable {
        /// Its lifetime is what remains of it, in seconds, rounded up.
        public var binding: Binding
        /// What went through it.
        public var traffic: BindingTraffic
        /// Never 0, and another one after each time that the binding was put.
        public var revision: UInt64
        /// Who put it last.
        public var owner: String
    }

    /// What a change did.
    public struct Changes: Hashable, Sendable {
        /// Ids of bindings that are new.
        public var added: [String] = []
        /// Ids of bindings that were there before.
        public var replaced: [String] = []
        /// Bindings that went.
        public var removed: [Binding] = []
        /// How many were there as they were put, in a resynchronisation.
        public var kept = 0
        /// Bindings that others have taken something over from, as they are now; in a resynchronisation.
        public var handedOver: [Binding] = []
        /// Memberships in groups that have begun.
        public var joined = 0
        /// Memberships that were ended; those that went with their binding are not among them.
        public var left = 0
    }

    /// The side of a table that forwarders see. It keeps the table's memory, and touches nothing that the writer alone
    /// may touch.
    public struct Reader: @unchecked Sendable {
        private let owner: BindingTable
        let prefixes: PrefixTable.Reader
        let homeAddresses: AddressTable.Reader
        let nodeAddresses: AddressTable.Reader
        let networks: PrefixTable.Reader
        let networkFlag: UnsafePointer<Atomic<Bool>>
        let careOfAddresses: AddressTable.Reader
        let sharedTunnels: AddressTable.Reader
        let groups: PrefixTable.Reader
        let members: UnsafePointer<GroupMember>
        let memberRecords: UnsafePointer<MemberRecord>
        let records: UnsafePointer<BindingRecord>
        let traffic: UnsafeMutablePointer<TrafficCell>
        let sequences: UnsafeMutablePointer<GRESequence>
        let pathMTUs: UnsafePointer<PathMTU>
        let paths: AddressTable.Reader
        let endpoints: AddressTable.Reader

        init(
            owner: BindingTable, prefixes: PrefixTable.Reader, homeAddresses: AddressTable.Reader,
            nodeAddresses: AddressTable.Reader, networks: PrefixTable.Reader, networkFlag: UnsafePointer<Atomic<Bool>>,
            careOfAddresses: AddressTable.Reader, sharedTunnels: AddressTable.Reader, groups: GroupTable,
            records: UnsafePointer<BindingRecord>,
            traffic: UnsafeMutablePointer<TrafficCell>,
            sequences: UnsafeMutablePointer<GRESequence>, pathMTUs: UnsafePointer<PathMTU>,
            paths: AddressTable.Reader, endpoints: AddressTable.Reader
        ) {
            self.owner = owner
            self.prefixes = prefixes
            self.homeAddresses = homeAddresses
            self.nodeAddresses = nodeAddresses
            self.networks = networks
            self.networkFlag = networkFlag
            self.careOfAddresses = careOfAddresses
            self.sharedTunnels = sharedTunnels
            self.groups = groups.groups.reader
            members = UnsafePointer(groups.members.base)
            memberRecords = UnsafePointer(groups.memberRecords.base)
            self.records = records
            self.traffic = traffic
            self.sequences = sequences
            self.pathMTUs = pathMTUs
            self.paths = paths
            self.endpoints = endpoints
        }
    }
}
