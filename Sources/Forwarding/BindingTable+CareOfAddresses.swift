// What belongs to the addresses where nodes are: which binding is there, and what is known of the way.

import PrefixTable
import Wire

extension BindingTable {
    /// The slot of the MTU of the path to a care-of address, which all bindings there follow together.
    func retainPath(to careOfAddress: IPv4Address) -> UInt32 {
        if let (slot, count) = pathUses[careOfAddress] {
            pathUses[careOfAddress] = (slot, count + 1)
            return slot
        }
        let slot = pathMTUs.take { $0.initialize(to: PathMTU()) }
        pathUses[careOfAddress] = (slot, 1)
        paths.insert(careOfAddress, value: slot)
        return slot
    }

    func releasePath(to careOfAddress: IPv4Address) {
        guard let (slot, count) = pathUses[careOfAddress] else { return }
        pathUses[careOfAddress] = count > 1 ? (slot, count - 1) : nil
        guard count == 1 else { return }
        paths.remove(careOfAddress)
        pathMTUs.retire(slot)
    }

    /// Makes a binding the one that its care-of address leads to.
    func settle(_ number: UInt32, _ address: IPv4Address, _ reference: BindingReference) {
        guard let there = careOfAddresses.insert(address, value: reference.rawValue) else { return }
        let other = BindingReference(rawValue: there)
        if self.number(of: other) != number {
            if sharedCareOfAddresses[address] == nil {
                sharedCareOfAddresses[address] = [self.number(of: other)]
                sharedTunnels.insert(records.base[other.record].digest, value: there)
            }
            sharedCareOfAddresses[address]?.insert(number)
        }
        if !sharedCareOfAddresses.isEmpty, sharedCareOfAddresses[address]?.contains(number) == true {
            sharedTunnels.insert(records.base[reference.record].digest, value: reference.rawValue)
        }
    }

    /// Takes away what leads to a record by its tunnel.
    func forgetTunnel(_ record: UInt32) {
        guard sharedTunnels.count > 0 else { return }
        let digest = records.base[Int(record)].digest
        if sharedTunnels.value(of: digest) == BindingReference(record, usesHomeAddress: false).rawValue {
            sharedTunnels.remove(digest)
        }
    }

    /// A binding is no more at its care-of address, which leads to another one there, or nowhere.
    func unsettle(_ number: UInt32, _ address: IPv4Address, _ record: UInt32) {
        var others = sharedCareOfAddresses.isEmpty ? [] : sharedCareOfAddresses.removeValue(forKey: address) ?? []
        others.remove(number)
        if others.count > 1 { sharedCareOfAddresses[address] = others }
        guard careOfAddresses.value(of: address) == BindingReference(record, usesHomeAddress: false).rawValue else {
            return
        }
        if let other = others.first {
            careOfAddresses.insert(
                address, value: BindingReference(store[other].record, usesHomeAddress: false).rawValue)
        } else {
            careOfAddresses.remove(address)
        }
    }
}
