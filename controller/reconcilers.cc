#include "controller/reconcilers.h"

#include "controller/attachment/status.h"
#include "controller/blocks/reclaim.h"
#include "controller/identifiers/vni.h"
#include "controller/npwg/reconcile.h"
#include "controller/peers/departed.h"
#include "controller/podnetwork/status.h"
#include "controller/policies/cluster.h"
#include "controller/policies/reconcile.h"
#include "controller/services/reconcile.h"
#include "controller/sets/misfits.h"

namespace multinet::controller {

std::vector<Reconciler> allReconcilers() {
  return {
      identifierReservation(),  podNetworkReconciler(),    attachmentReconciler(),
      setReconciler(),          identifierCollection(),    blockReconciler(),
      peerReconciler(),         nodeSetReconciler(),       serviceReconciler(),
      policyReconciler(),       policyDefaultReconciler(), clusterPolicySliceReconciler(),
      policyLedgerReconciler(), clusterPolicyReconciler(), multiNetworkPolicyReconciler(),
  };
}

}  // namespace multinet::controller
