package services

import (
	"encoding/xml"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// The ports of a file system: RPC and HTTP of the NameNode, then data, IPC and HTTP of each DataNode.
const (
	nameNodePorts = 2
	dataNodePorts = 3
)

func dataNodeName(i int) string { return fmt.Sprintf("datanode-%d", i+1) }

// configure writes every server's and the clients' configuration.
func (h *HDFS) configure() error {
	core := map[string]string{
		"fs.defaultFS":   h.URI(),
		"hadoop.tmp.dir": h.dir("tmp"),
	}
	if err := writeSite(h.dir("namenode"), core, h.nameNodeSite()); err != nil {
		return err
	}
	for i := range h.options.DataNodes {
		if err := writeSite(h.dir(dataNodeName(i)), core, h.dataNodeSite(i)); err != nil {
			return err
		}
	}
	client := map[string]string{"dfs.replication": strconv.Itoa(h.options.Replication)}
	if err := writeSite(h.ConfDir(), map[string]string{"fs.defaultFS": h.URI()}, client); err != nil {
		return err
	}
	const log4j = "log4j.rootLogger=INFO,out\n" +
		"log4j.appender.out=org.apache.log4j.ConsoleAppender\n" +
		"log4j.appender.out.target=System.err\n" +
		"log4j.appender.out.layout=org.apache.log4j.PatternLayout\n" +
		"log4j.appender.out.layout.ConversionPattern=%d{HH:mm:ss.SSS} %p %c{1} - %m%n\n"
	return os.WriteFile(h.dir("log4j.properties"), []byte(log4j), 0o644)
}

func (h *HDFS) nameNodeSite() map[string]string {
	site := map[string]string{
		"dfs.namenode.name.dir":           filepath.Join(h.dir("namenode"), "name"),
		"dfs.namenode.rpc-address":        h.ports.Addr(0),
		"dfs.namenode.http-address":       h.ports.Addr(1),
		"dfs.replication":                 strconv.Itoa(h.options.Replication),
		"dfs.namenode.safemode.extension": "0",
		"dfs.namenode.handler.count":      "4",
		"dfs.heartbeat.interval":          "1",
		// A DataNode is given up after twice this and ten heartbeats, 12 s. Before, from 3 s of silence on, it counts as stale and new blocks
		// avoid it, if there is another.
		"dfs.namenode.heartbeat.recheck-interval": "1000",
		"dfs.namenode.stale.datanode.interval":    "3000",
		"dfs.namenode.avoid.write.stale.datanode": "true",
		"dfs.namenode.avoid.read.stale.datanode":  "true",
		"dfs.namenode.write.stale.datanode.ratio": "1.0",
	}
	maps.Copy(site, h.options.Config)
	return site
}

func (h *HDFS) dataNodeSite(i int) map[string]string {
	port := nameNodePorts + dataNodePorts*i
	site := map[string]string{
		"dfs.datanode.data.dir":      filepath.Join(h.dir(dataNodeName(i)), "data"),
		"dfs.datanode.address":       h.ports.Addr(port),
		"dfs.datanode.ipc.address":   h.ports.Addr(port + 1),
		"dfs.datanode.http.address":  h.ports.Addr(port + 2),
		"dfs.datanode.hostname":      "localhost",
		"dfs.datanode.handler.count": "3",
		"dfs.heartbeat.interval":     "1",
		"dfs.replication":            strconv.Itoa(h.options.Replication),
	}
	maps.Copy(site, h.options.Config)
	return site
}

func writeSite(dir string, core, hdfs map[string]string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := writeProperties(filepath.Join(dir, "core-site.xml"), core); err != nil {
		return err
	}
	return writeProperties(filepath.Join(dir, "hdfs-site.xml"), hdfs)
}

// writeProperties writes a file of Hadoop's configuration.
func writeProperties(path string, values map[string]string) error {
	type property struct {
		Name  string `xml:"name"`
		Value string `xml:"value"`
	}
	var configuration struct {
		XMLName    xml.Name   `xml:"configuration"`
		Properties []property `xml:"property"`
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		configuration.Properties = append(configuration.Properties, property{name, values[name]})
	}
	content, err := xml.MarshalIndent(configuration, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.WriteFile(path, append([]byte(xml.Header), append(content, '\n')...), 0o644)
}
