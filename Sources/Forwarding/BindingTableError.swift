// What a change of bindings is refused for, in sentences for whoever asked for it.

import Bindings
import Wire

/// Why a change to a binding table was refused. Nothing was changed.
public enum BindingTableError: Error, Hashable, CustomStringConvertible {
    /// A binding, by its id, breaks a rule.
    case malformed(String, BindingError)
    /// A prefix of a binding, or a network in its mapped form, overlaps one that another holds.
    case conflict(String, IPv6Prefix, holder: String, held: IPv6Prefix)
    /// A binding's home address is another's.
    case homeAddressConflict(String, IPv4Address, holder: String)
    /// A binding, by its id, is not as the caller knew it: it was put or removed since, or is bound already.
    case changed(String, isBound: Bool)
    /// There would be more bindings than the table holds.
    case tooManyBindings(limit: Int)
    /// There would be more prefixes than the table holds.
    case tooManyPrefixes(limit: Int)
    /// There would be more owners of bindings than the table tells apart.
    case tooManyOwners(limit: Int)
    /// There would be more members of multicast groups than the table holds.
    case tooManyMembers(limit: Int)
    /// An address is none of a multicast group that can be tunnelled.
    case notAGroup(IPv6Address)
    /// A binding that is to be a group's member is not there.
    case notBound(String)
    /// A binding can't be a group's member: its tunnel carries no IPv6.
    case carriesNoMulticast(String)

    /// What is wrong and what to do.
    public var description: String {
        switch self {
        case .malformed(_, let error): "\(error)"
        case .conflict(let id, let prefix, let holder, let held):
            "binding \(id): \(text(prefix)) overlaps \(text(held)), which binding \(holder) holds; remove that first, or put both in one batch"
        case .homeAddressConflict(let id, let address, let holder):
            "binding \(id): the home address \(address) is that of binding \(holder); remove that first, or put both in one batch"
        case .changed(let id, let isBound):
            "binding \(id) \(isBound ? "was put" : "was removed") by somebody else meanwhile: read it again"
        case .tooManyBindings(let limit): "there may be no more than \(limit) bindings: raise --max-bindings"
        case .tooManyPrefixes(let limit): "there may be no more than \(limit) prefixes: raise --max-prefixes"
        case .tooManyOwners(let limit):
            "there are bindings of \(limit) owners, which is the limit: have clients share an owner"
        case .tooManyMembers(let limit):
            "groups may have no more than \(limit) members together: raise --max-members"
        case .notAGroup(let address):
            "\(address) is no multicast group: it begins with ff, and its scope is at least that of a link"
        case .notBound(let id): "there is no binding \(StrictJSON.quoted(id))"
        case .carriesNoMulticast(let id):
            "binding \(id): minimal encapsulation never carries IPv6, and there is no home address to send it by"
        }
    }

    private func text(_ prefix: IPv6Prefix) -> String { prefix.mappedIPv4?.description ?? prefix.description }

    /// The id of the binding that it concerns, where there is one.
    public var bindingID: String? {
        switch self {
        case .malformed(let id, _), .conflict(let id, _, _, _), .homeAddressConflict(let id, _, _),
            .changed(let id, _), .notBound(let id), .carriesNoMulticast(let id):
            id
        case .tooManyBindings, .tooManyPrefixes, .tooManyOwners, .tooManyMembers, .notAGroup: nil
        }
    }
}
