// Command agnhost is the part of Kubernetes' image of that name which suites for network policies
// run in their pods: it serves on ports, and asks others.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/kubernetes/test/images/agnhost/connect"
	"k8s.io/kubernetes/test/images/agnhost/netexec"
	"k8s.io/kubernetes/test/images/agnhost/pause"
	"k8s.io/kubernetes/test/images/agnhost/porter"
	servehostname "k8s.io/kubernetes/test/images/agnhost/serve-hostname"
)

// withoutSCTP has the commands speak of it what they need where the kernel doesn't.
func withoutSCTP() {
	connectTo := connect.CmdConnect.Run
	connect.CmdConnect.Run = func(command *cobra.Command, arguments []string) {
		asked, _ := command.Flags().GetString("protocol")
		if asked != "sctp" {
			connectTo(command, arguments)
			return
		}
		timeout, _ := command.Flags().GetDuration("timeout")
		if err := askSCTP(arguments[0], timeout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	porter.CmdPorter.Run = nil
	porter.CmdPorter.RunE = serveSCTP
}

func main() {
	if !hasSCTP() {
		withoutSCTP()
	}
	root := &cobra.Command{Use: "agnhost", SilenceUsage: true}
	root.AddCommand(
		connect.CmdConnect, netexec.CmdNetexec, pause.CmdPause, porter.CmdPorter,
		servehostname.CmdServeHostname,
	)
	if root.Execute() != nil {
		os.Exit(1)
	}
}
