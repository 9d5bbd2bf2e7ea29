// Asks Go's own resolver what it is told to: KIND:NAME, where KIND is host, cname, txt, addr or srv
// (srv:SERVICE:PROTOCOL:NAME). Prints one JSON object: answers by question, or what was wrong.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sort"
	"strings"
)

func ask(question string) ([]string, error) {
	kind, name, _ := strings.Cut(question, ":")
	switch kind {
	case "host":
		return net.LookupHost(name)
	case "cname":
		found, err := net.LookupCNAME(name)
		return []string{found}, err
	case "txt":
		return net.LookupTXT(name)
	case "addr":
		return net.LookupAddr(name)
	}
	parts := strings.SplitN(name, ":", 3)
	_, records, err := net.LookupSRV(parts[0], parts[1], parts[2])
	var found []string
	for _, record := range records {
		found = append(found, fmt.Sprintf("%d %d %d %s", record.Priority, record.Weight, record.Port, record.Target))
	}
	return found, err
}

func main() {
	said := map[string][]string{}
	for _, question := range os.Args[1:] {
		found, err := ask(question)
		var wrong *net.DNSError
		if errors.As(err, &wrong) {
			found = []string{fmt.Sprintf("not found: %t, temporary: %t", wrong.IsNotFound, wrong.IsTemporary)}
		}
		sort.Strings(found)
		said[question] = found
	}
	json.NewEncoder(os.Stdout).Encode(said)
}
