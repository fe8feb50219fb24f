package wire

import "testing"

type sample struct {
	Slot int      `json:"slot"`
	Name string   `json:"name"`
	List []string `json:"list"`
}

func TestDecodeTakesWhatItKnows(t *testing.T) {
	for _, text := range []string{`{}`, `{"slot":1}`, ` {"slot":1,"name":"a","list":["x"]} `} {
		if err := Decode([]byte(text), &sample{}); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	var s sample
	if err := Decode([]byte(`{"slot":7,"name":"n","list":["a","b"]}`), &s); err != nil || s.Slot != 7 || s.Name != "n" || len(s.List) != 2 {
		t.Errorf("%+v %v", s, err)
	}
}

func TestDecodeRefusesTheRest(t *testing.T) {
	for _, text := range []string{
		``, `null`, `1`, `[]`, `"x"`, `{`, `{"slot":1`, `{"slot":1}}`, `{"slot":1}{}`, `{"slot":1} x`, `{"other":1}`, `{"SLOT":1}`, `{"ſlot":1}`,
		`{"slot":1,"slot":1}`, `{"slot":null}`, `{"slot":"1"}`, `{"slot":1.0e400}`, `{"slot":{}}`, `{"list":[1]}`, "{\"name\":\"\xff\"}", `{"":1}`, `{"slot":1,}`,
	} {
		if err := Decode([]byte(text), &sample{}); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"slot":1,"name":"a","list":["x"]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var s sample
		_ = Decode(text, &s) // must not panic, whatever comes
	})
}
