package manifests

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"sigs.k8s.io/yaml"
)

// metricsPage is generated from the program.
const metricsPage = root + "/docs/reference/metrics.md"

// metric is a row of the table in metricsPage.
type metric struct {
	kind   string
	labels []string
}

var (
	metricRow = regexp.MustCompile("(?m)^\\| `(skr_\\w+)` \\| (\\w+) \\| [^|]* \\| (.*?) \\|")
	labelRow  = regexp.MustCompile("(?m)^- `(\\w+)` of [^:]*: (`.*`)$")
	word      = regexp.MustCompile("`([^`]+)`")
)

func words(text string) (found []string) {
	for _, match := range word.FindAllStringSubmatch(text, -1) {
		found = append(found, match[1])
	}
	return found
}

func metrics(t *testing.T) map[string]metric {
	t.Helper()
	found := map[string]metric{}
	for _, row := range metricRow.FindAllStringSubmatch(string(read(t, metricsPage)), -1) {
		found[row[1]] = metric{row[2], words(row[3])}
	}
	if len(found) < 15 {
		t.Fatalf("only %d metrics are documented", len(found))
	}
	return found
}

// values returns the values that the documentation lists for each label.
func values(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	list := strings.ReplaceAll(string(read(t, metricsPage)), "\n  `", " `")
	for _, row := range labelRow.FindAllStringSubmatch(list, -1) {
		found[row[1]] = append(found[row[1]], words(row[2])...)
	}
	if len(found) < 8 {
		t.Fatalf("only %d labels are documented", len(found))
	}
	return found
}

// fromPrometheus are labels that scraping adds, and fromProcess are metrics of
// the Go client.
var (
	fromPrometheus = []string{"namespace", "pod", "le"}
	fromProcess    = map[string]bool{"process_resident_memory_bytes": true, "process_cpu_seconds_total": true}
)

// checkQuery checks that a query is PromQL and uses existing metrics, labels
// and values.
func checkQuery(t *testing.T, where, query string) (used []string) {
	t.Helper()
	query = strings.NewReplacer("$__rate_interval", "5m", "$__range", "1h").Replace(query)
	expression, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		t.Errorf("%s: %v in %s", where, err, query)
		return nil
	}
	known, listed := metrics(t), values(t)
	parser.Inspect(expression, func(node parser.Node, _ []parser.Node) error {
		switch node := node.(type) {
		case *parser.VectorSelector:
			name := strings.TrimSuffix(node.Name, "_bucket")
			used = append(used, name)
			m, is := known[name]
			if !is && !fromProcess[name] {
				t.Errorf("%s: unknown metric %s", where, name)
			}
			if (name != node.Name) != (m.kind == "histogram") {
				t.Errorf("%s: %s is a %s", where, node.Name, m.kind)
			}
			checkMatchers(t, where, node.LabelMatchers, m, listed)
		case *parser.AggregateExpr:
			for _, label := range node.Grouping {
				if !slices.Contains(fromPrometheus, label) && !labelBelow(node, known, label) {
					t.Errorf("%s: groups by %s, which no metric of %s has", where, label, node)
				}
			}
		}
		return nil
	})
	return used
}

func checkMatchers(t *testing.T, where string, matchers []*labels.Matcher, m metric, listed map[string][]string) {
	t.Helper()
	for _, matcher := range matchers {
		if matcher.Name == model.MetricNameLabel || slices.Contains(fromPrometheus, matcher.Name) {
			continue
		}
		if !slices.Contains(m.labels, matcher.Name) {
			t.Errorf("%s: the metric has no label %s", where, matcher.Name)
		}
		if known := listed[matcher.Name]; known != nil && !slices.Contains(known, matcher.Value) {
			t.Errorf("%s: %s is never %q", where, matcher.Name, matcher.Value)
		}
	}
}

// labelBelow reports whether a metric below the aggregation has the label.
func labelBelow(node parser.Node, known map[string]metric, label string) (found bool) {
	parser.Inspect(node, func(child parser.Node, _ []parser.Node) error {
		if selector, is := child.(*parser.VectorSelector); is {
			found = found || slices.Contains(known[strings.TrimSuffix(selector.Name, "_bucket")].labels, label)
		}
		return nil
	})
	return found
}

func TestAlerts(t *testing.T) {
	var spec monitoring.PrometheusRuleSpec
	if err := yaml.UnmarshalStrict(read(t, root+"/deploy/prometheus/alerts.yaml"), &spec); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, group := range spec.Groups {
		for _, rule := range group.Rules {
			names = append(names, rule.Alert)
			used := checkQuery(t, rule.Alert, rule.Expr.String())
			if len(used) == 0 || rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" || rule.Labels["severity"] == "" {
				t.Errorf("%s: lacks a metric, a summary, a description or a severity", rule.Alert)
			}
		}
	}
	slices.Sort(names)
	if len(names) < 5 || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("alerts %q: too few, or a duplicate", names)
	}
}

// TestDashboard checks that the dashboard shows every metric of skr and no
// others.
func TestDashboard(t *testing.T) {
	var board struct {
		Panels []struct {
			Title   string
			Type    string
			ID      int
			GridPos struct{ H, W, X, Y int }
			Targets []struct{ Expr string }
		}
		Templating struct{ List []struct{ Name string } }
	}
	if err := json.Unmarshal(read(t, root+"/deploy/grafana/skr.json"), &board); err != nil {
		t.Fatal(err)
	}
	shown, ids := map[string]bool{}, map[int]bool{}
	for _, panel := range board.Panels {
		if ids[panel.ID] || panel.GridPos.X+panel.GridPos.W > 24 || panel.Type != "row" && len(panel.Targets) == 0 {
			t.Errorf("%s: needs a query, a position and a unique id", panel.Title)
		}
		ids[panel.ID] = true
		for _, target := range panel.Targets {
			for _, name := range checkQuery(t, panel.Title, target.Expr) {
				shown[name] = true
			}
		}
	}
	for name := range metrics(t) {
		if !shown[name] {
			t.Errorf("%s is missing on the dashboard", name)
		}
	}
}
